"""Which layers, or heads, a strategy puts its adapter on. Definitions: docs/definitions.md, "Bake-off".

A strategy is an entry of the config's ``lora.strategies``. A new way to choose layers is one function here:

    @layer_choice("first")
    def first(candidates: Candidates) -> list[int]:
        return list(range(candidates.count))
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import pyarrow as pa

from rewire.errors import InputError
from rewire.lora.declared import CRITERIA, problem

Head = tuple[int, int]  # layer, head
Place = TypeVar("Place", int, Head)


@dataclass(frozen=True)
class Strategy:
    """An entry of ``lora.strategies``; ``draws`` is how many random draws the workflow makes of it."""

    layers: str | list[int] = "all"
    least: bool = False  # the least critical, not the most
    count: int | None = None  # layers (or heads) to take, else lora.critical_layers (lora.critical_heads)
    rank: int | None = None  # this rank as it is: the budget is not matched
    higher: str | None = None  # of `layers`, those most critical by this choice get ...
    ratio: float = 4.0  # ... about this many times the rank of the others
    heads: str | None = None  # on the attention of the most changed heads alone
    adapter: bool = True  # without one every parameter is trained
    draws: int | None = None
    modules: list[str] | None = None  # else lora.target_modules


@dataclass(frozen=True)
class Candidates:
    """What a choice of layers may look at. ``criticality``: criterion -> [layers], the higher the more critical."""

    n_layers: int
    criticality: Mapping[str, Sequence[float]] = field(default_factory=dict)
    count: int = 1
    draw: int = 0  # number of the random draw
    least: bool = False


LayerChoice = Callable[[Candidates], list[int]]
LAYERS: dict[str, LayerChoice] = {}  # what `layers` and `higher` may name


def layer_choice(name: str) -> Callable[[LayerChoice], LayerChoice]:
    """Register a function under the name that ``layers`` and ``higher`` of a strategy use."""

    def register(function: LayerChoice) -> LayerChoice:
        LAYERS[name] = function
        return function

    return register


@layer_choice("all")
def every_layer(candidates: Candidates) -> list[int]:
    return list(range(candidates.n_layers))


@layer_choice("last")
def last_layers(candidates: Candidates) -> list[int]:
    return list(range(candidates.n_layers - candidates.count, candidates.n_layers))


@layer_choice("random")
def random_draw(candidates: Candidates) -> list[int]:
    return random_layers(candidates.n_layers, candidates.count, candidates.draw)


def by_criterion(name: str) -> LayerChoice:
    """The ``count`` most (or least) critical layers by a criterion; of equals the earlier ones."""

    def choose(candidates: Candidates) -> list[int]:
        if name not in candidates.criticality:
            raise InputError(f"criticality: no layer has the criterion {name!r}")
        values = dict(enumerate(candidates.criticality[name]))
        return sorted(extremes(values, candidates.count, candidates.least))

    return choose


for criterion in CRITERIA:
    LAYERS[criterion] = by_criterion(criterion)


def read_strategy(settings: Mapping[str, Any], name: str) -> Strategy:
    """Entry ``name`` of ``settings["strategies"]``. Errors: InputError that names the key and what is allowed."""
    entries, key = settings["strategies"], f"lora.strategies.{name}"
    if name not in entries:
        raise InputError(f"lora.strategies: no strategy {name!r}, only {', '.join(sorted(entries))}")
    known = [part.name for part in fields(Strategy)]
    for unknown in sorted(set(entries[name]) - set(known)):
        raise InputError(f"{key}.{unknown}: unknown key, a strategy has {', '.join(known)}")
    if (wrong := problem(name, entries[name], list(LAYERS))) is not None:
        raise InputError(wrong)
    return Strategy(**entries[name])


def stated_layers(layers: Sequence[int], n_layers: int, key: str) -> list[int]:
    """``layers`` in order. Errors: InputError that names ``key`` if the model has no such layer."""
    for layer in layers:
        if not 0 <= layer < n_layers:
            raise InputError(f"{key}: there is no layer {layer}; the model has layers 0..{n_layers - 1}")
    return sorted(layers)


def choose_layers(
    choice: str,
    n_layers: int,
    count: int,
    criticality: pa.Table,
    draw: int,
    least: bool = False,
    key: str = "lora.critical_layers",
) -> list[int]:
    """The layers, in order, that ``choice`` takes: all, or ``count`` of them.

    ``criticality``: rows criterion, layer, head, value. ``draw``: number of a random draw. ``key``: what the config
    calls ``count``. Errors: InputError for a choice that is not known, or more layers than there are.
    """
    if choice not in LAYERS:
        raise InputError(f"lora strategy layers {choice!r} is not one of {', '.join(LAYERS)}")
    if choice != "all" and not 1 <= count <= n_layers:
        raise InputError(f"{key} is {count}; the model has {n_layers} layers")
    candidates = Candidates(n_layers, layer_values(criticality, n_layers), count, draw, least)
    layers = sorted(set(LAYERS[choice](candidates)))
    if not layers or layers[0] < 0 or layers[-1] >= n_layers:
        raise InputError(
            f"lora strategy layers {choice!r} chose {layers}; the model has layers 0..{n_layers - 1}"
        )
    return layers


def layer_values(criticality: pa.Table, n_layers: int) -> dict[str, list[float]]:
    """criterion -> [layers] of a criticality table. Errors: InputError if its layers are not the model's."""
    found: dict[str, dict[int, float]] = {}
    for row in criticality.to_pylist():
        if row["head"] is None:
            found.setdefault(row["criterion"], {})[row["layer"]] = row["value"]
    for name, values in found.items():
        if sorted(values) != list(range(n_layers)):
            raise InputError(f"criticality: {len(values)} layers by {name}; the model has {n_layers}")
    return {name: [values[layer] for layer in range(n_layers)] for name, values in found.items()}


def choose_heads(
    choice: str, count: int, criticality: pa.Table, least: bool = False, key: str = "lora.critical_heads"
) -> list[Head]:
    """The ``count`` most (or least) changed heads by a criterion, in order; of equals the earlier ones."""
    values = {
        (row["layer"], row["head"]): row["value"]
        for row in criticality.to_pylist()
        if row["criterion"] == choice and row["head"] is not None
    }
    if not values:
        raise InputError(f"criticality: no head has the criterion {choice!r}")
    if not 1 <= count <= len(values):
        raise InputError(f"{key} is {count}; the model has {len(values)} heads")
    return sorted(extremes(values, count, least))


def extremes(values: Mapping[Place, float], count: int, least: bool) -> list[Place]:
    """The ``count`` places of the highest (or lowest) values; of equals the earlier ones."""
    sign = 1 if least else -1
    return sorted(values, key=lambda place: (sign * values[place], place))[:count]


def random_layers(n_layers: int, count: int, draw: int) -> list[int]:
    """Draw number ``draw``, from 0, of ``count`` layers; none repeats one before it as long as there are others left.

    Time grows with the number of the draw: it is a place in the list of seeds, never a seed.
    """
    source = random.Random("lora layers")
    draws: list[list[int]] = []
    while len(draws) <= draw:
        found = sorted(source.sample(range(n_layers), count))
        if found not in draws or len(draws) >= math.comb(n_layers, count):
            draws.append(found)
    return draws[draw]
