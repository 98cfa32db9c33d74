"""Which layers get an adapter, and at what rank the budgets match. Definitions: docs/definitions.md, "Bake-off"."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rewire.errors import InputError

CHOICES = ("all", "differential", "circuit", "circuit_raw", "random")
TOLERANCE = 0.01  # trainable parameters match within this share


@dataclass(frozen=True)
class Plan:
    """One adapter: full names of the modules it is put on, the layers they are in, the rank, trainable parameters."""

    modules: list[str]
    layers: list[int]
    rank: int
    parameters: int


def choose_layers(choice: str, n_layers: int, count: int, criticality: pa.Table, seed: int) -> list[int]:
    """The layers of a strategy: ``all``, the ``count`` most changed by a criterion, or ``count`` at random.

    ``criticality``: rows criterion, layer, value. ``random`` draws anew for each seed.
    """
    if choice == "all":
        return list(range(n_layers))
    if not 1 <= count <= n_layers:
        raise InputError(f"lora.critical_layers is {count}; the model has {n_layers} layers")
    if choice == "random":
        return random_layers(n_layers, count, seed)
    values = [row for row in criticality.to_pylist() if row["criterion"] == choice]
    if not values:
        raise InputError(f"lora strategy layers {choice!r} is not one of {', '.join(CHOICES)}")
    best = sorted(values, key=lambda row: (-row["value"], row["layer"]))[:count]
    return sorted(row["layer"] for row in best)


def random_layers(n_layers: int, count: int, seed: int) -> list[int]:
    """Draw number ``seed`` of ``count`` layers; no draw repeats one before it as long as there are others left."""
    source = random.Random("lora layers")
    draws: list[list[int]] = []
    while len(draws) <= seed:
        draw = sorted(source.sample(range(n_layers), count))
        if draw not in draws or len(draws) >= math.comb(n_layers, count):
            draws.append(draw)
    return draws[seed]


def adapter_sizes(transformer: Any, targets: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Module name -> (layer, parameters at rank 1) of every module of a block that ``targets`` names by its ending."""
    sizes: dict[str, tuple[int, int]] = {}
    endings: set[str] = set()
    for name, module in transformer.named_modules():
        layer = re.search(r"\.(\d+)\.(.+)$", name)
        weight = getattr(module, "weight", None)
        if layer is None or weight is None or weight.dim() != 2:
            continue
        endings.add(layer.group(2))
        if any(layer.group(2) == target or layer.group(2).endswith("." + target) for target in targets):
            sizes[name] = (int(layer.group(1)), sum(weight.shape))
    for target in targets:
        if not any(name.endswith("." + target) for name in sizes):
            raise InputError(
                f"lora.target_modules: no module {target!r}; the model has {', '.join(sorted(endings))}"
            )
    return sizes


def plan(sizes: Mapping[str, tuple[int, int]], layers: Sequence[int], reference_rank: int) -> Plan:
    """An adapter on ``layers`` with as many parameters, within 1 %, as ``reference_rank`` has on all layers."""
    budget = reference_rank * sum(size for _, size in sizes.values())
    modules = [name for name, (layer, _) in sizes.items() if layer in layers]
    unit = sum(sizes[name][1] for name in modules)
    rank = max(1, round(budget / unit))
    if abs(rank * unit - budget) > TOLERANCE * budget:
        raise InputError(
            f"lora: no rank on layers {list(layers)} gives {budget} trainable parameters within 1 %; the nearest, "
            f"rank {rank}, gives {rank * unit}"
        )
    return Plan(modules, sorted(layers), rank, rank * unit)
