"""What a strategy trains on a given model: modules, ranks, heads, and how many parameters that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from rewire.lora.budget import adapter_sizes, matched_ranks, parameters, weighted_ranks
from rewire.lora.heads import Live, live_parts, live_sizes
from rewire.lora.strategies import Head, Strategy, choose_heads, choose_layers, read_strategy


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
    transformer: Any, settings: Mapping[str, Any], name: str, criticality: pa.Table, draw: int
) -> Plan:
    """The plan of strategy ``name`` of the config's lora section ``settings``.

    The trainable parameters match, within 1 %, those of ``settings["rank"]`` on all target modules of all layers,
    unless the strategy states its rank. ``draw``: number of the random draw.
    Errors: InputError for a strategy that does not fit the model, or a budget that cannot be matched.
    """
    strategy = read_strategy(settings, name)
    total = sum(parameter.numel() for parameter in transformer.parameters())
    everything = adapter_sizes(transformer, settings["target_modules"])
    n_layers = 1 + max(layer for layer, _ in everything.values())
    if not strategy.adapter:
        return Plan(list(range(n_layers)), {}, total, 0)
    key = f"lora.strategies.{name}.count"
    heads: list[Head] = []
    live: Mapping[str, Live] = {}
    if strategy.heads:
        count, said = counted(strategy, settings, "critical_heads", key)
        heads = choose_heads(strategy.heads, count, criticality, strategy.least, said)
        live = live_parts(transformer, everything, heads)
        sizes = live_sizes(everything, live)
    else:
        count, said = counted(strategy, settings, "critical_layers", key)
        chosen = choose_layers(strategy.layers, n_layers, count, criticality, draw, strategy.least, said)
        sizes = {module: size for module, size in everything.items() if size[0] in chosen}
    weights = {}
    if strategy.higher:
        higher = choose_layers(strategy.higher, n_layers, count, criticality, draw, key=said)
        weights = dict.fromkeys(higher, strategy.ratio)
    if strategy.rank is None:
        budget = settings["rank"] * sum(unit for _, unit in everything.values())
        ranks = matched_ranks(sizes, budget, weights)
    else:
        ranks = weighted_ranks(sizes, strategy.rank, weights)
    layers = sorted({layer for layer, _ in sizes.values()})
    return Plan(layers, ranks, parameters(sizes, ranks), total, heads, live)


def counted(strategy: Strategy, settings: Mapping[str, Any], default: str, key: str) -> tuple[int, str]:
    """How many layers or heads to take, and what the config calls that number."""
    return (settings[default], f"lora.{default}") if strategy.count is None else (strategy.count, key)
