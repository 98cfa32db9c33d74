"""What a strategy trains on a given model: modules, ranks, heads, and how many parameters that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from rewire.lora.budget import adapter_sizes, matched_ranks, parameters, weighted_ranks
from rewire.lora.declared import ALL
from rewire.lora.heads import Live, live_parts, live_sizes, rank_caps
from rewire.lora.strategies import Head, Strategy, choose_heads, choose_layers, read_strategy, stated_layers


@dataclass(frozen=True)
class Plan:
    """One run's adapter. Without one (every parameter is trained) ``ranks`` is empty and nothing is frozen."""

    layers: list[int]
    ranks: Mapping[str, int]  # full module name -> rank, in the order of the model
    parameters: int  # trained
    frozen: int  # of the base model
    heads: list[Head] = field(default_factory=list)
    live: Mapping[str, Live] = field(default_factory=dict)  # the trained parts, where heads are chosen


def make_plan(
    transformer: Any, settings: Mapping[str, Any], name: str, criticality: pa.Table | None, draw: int
) -> Plan:
    """The plan of strategy ``name`` of the config's lora section ``settings``.

    The trainable parameters match, within 1 %, those of ``settings["rank"]`` on all target modules of all layers,
    unless the strategy states its rank. ``criticality``: None where the strategy does not ask for it. ``draw``: number of the random draw.
    Errors: InputError for a strategy that does not fit the model, or a budget that cannot be matched.
    """
    strategy = read_strategy(settings, name)
    total = sum(parameter.numel() for parameter in transformer.parameters())
    n_layers = transformer.config.num_hidden_layers
    if not strategy.adapter:
        return Plan(list(range(n_layers)), {}, total, 0)
    criticality = pa.table({}) if criticality is None else criticality
    mine = f"lora.strategies.{name}"
    everything = adapter_sizes(transformer, *targets(strategy, settings, f"{mine}.modules"))
    heads: list[Head] = []
    live: Mapping[str, Live] = {}
    if strategy.heads:
        count, said = counted(strategy, settings, "critical_heads", f"{mine}.count")
        heads = choose_heads(strategy.heads, count, criticality, strategy.least, said)
        live = live_parts(transformer, everything, heads)
        sizes = live_sizes(everything, live)
    else:
        chosen = layers_of(
            strategy, strategy.layers, settings, n_layers, criticality, draw, mine, strategy.least
        )
        sizes = {module: size for module, size in everything.items() if size[0] in chosen}
    weights = {}
    if strategy.higher:
        higher = layers_of(strategy, strategy.higher, settings, n_layers, criticality, draw, mine)
        weights = dict.fromkeys(higher, strategy.ratio)
    if strategy.rank is None:
        standard = adapter_sizes(transformer, settings["target_modules"])
        budget = settings["rank"] * sum(unit for _, unit in standard.values())
        ranks = matched_ranks(sizes, budget, weights, rank_caps(transformer, sizes, live))
    else:
        ranks = weighted_ranks(sizes, strategy.rank, weights)
    layers = sorted({layer for layer, _ in sizes.values()})
    return Plan(layers, ranks, parameters(sizes, ranks), total, heads, live)


def targets(strategy: Strategy, settings: Mapping[str, Any], key: str) -> tuple[Sequence[str], str]:
    """The endings of the modules to adapt, and what the config calls them."""
    if strategy.modules is None:
        return settings["target_modules"], "lora.target_modules"
    return strategy.modules, key


def layers_of(
    strategy: Strategy,
    choice: str | list[int],
    settings: Mapping[str, Any],
    n_layers: int,
    criticality: pa.Table,
    draw: int,
    key: str,
    least: bool = False,
) -> list[int]:
    """The layers of one ``choice`` (``layers`` or ``higher``) of a strategy that the config calls ``key``."""
    if not isinstance(choice, str):
        return stated_layers(choice, n_layers, f"{key}.layers")
    if choice == ALL:
        return list(range(n_layers))
    count, said = counted(strategy, settings, "critical_layers", f"{key}.count")
    return choose_layers(choice, n_layers, count, criticality, draw, least, said)


def counted(strategy: Strategy, settings: Mapping[str, Any], default: str, key: str) -> tuple[int, str]:
    """How many layers or heads to take, and what the config calls that number."""
    return (settings[default], f"lora.{default}") if strategy.count is None else (strategy.count, key)
