"""The rank of every adapted module, so that strategies train equally many parameters.

Definitions: docs/definitions.md, "Bake-off".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rewire.errors import InputError

TOLERANCE = 0.01  # trainable parameters match within this share

Sizes = Mapping[str, tuple[int, int]]  # module name -> (layer, trainable parameters at rank 1)


def adapter_sizes(
    transformer: Any, targets: Sequence[str], key: str = "lora.target_modules"
) -> dict[str, tuple[int, int]]:
    """Module name -> (layer, parameters at rank 1) of every module of a block that ``targets`` names by its ending.

    Errors: InputError for a name that no module has; ``key``: what the config calls them.
    """
    sizes: dict[str, tuple[int, int]] = {}
    endings: set[str] = set()
    for name, module in transformer.named_modules():
        layer = re.search(r"\.(\d+)\.(.+)$", name)
        weight = getattr(module, "weight", None)
        if layer is None or weight is None or weight.dim() != 2:
            continue
        endings.add(layer.group(2))
        if any(ends_with(layer.group(2), target) for target in targets):
            sizes[name] = (int(layer.group(1)), sum(weight.shape))
    for target in targets:
        if not any(name.endswith("." + target) for name in sizes):
            raise InputError(f"{key}: no module {target!r}; the model has {', '.join(sorted(endings))}")
    return sizes


def ends_with(name: str, target: str) -> bool:
    """Whether the last parts of a module's dotted name are ``target``."""
    return name == target or name.endswith("." + target)


def parameters(sizes: Sizes, ranks: Mapping[str, int]) -> int:
    """Trainable parameters of adapters of ``ranks`` (module name -> rank)."""
    return sum(rank * sizes[name][1] for name, rank in ranks.items())


def weighted_ranks(sizes: Sizes, rank: int, weights: Mapping[int, float]) -> dict[str, int]:
    """Module name -> ``rank``, times the weight of its layer (1 where ``weights`` has none), rounded, at least 1."""
    return {name: max(1, round(rank * weights.get(layer, 1))) for name, (layer, _) in sizes.items()}


def matched_ranks(sizes: Sizes, budget: int, weights: Mapping[int, float]) -> dict[str, int]:
    """Module name -> rank, at least 1, in proportion to its layer's weight (1 where ``weights`` has none), so that
    the trainable parameters are ``budget`` within 1 %.

    All ranks are rounded down; what is missing is filled by one more rank for single modules, first layers first,
    wherever this brings the sum closer.
    Errors: InputError that says the nearest sum. It can only come if rank 1 on every module is over the budget, if
    some module's share of it is less than rank 1, or if half of the largest module's parameters at rank 1 are more
    than 1 % of it: a module that was left out of the filling, or overshot it, misses by at most half its own.
    """
    scale = budget / sum(weights.get(layer, 1) * unit for layer, unit in sizes.values())
    ranks = {name: max(1, int(scale * weights.get(layer, 1))) for name, (layer, _) in sizes.items()}
    missing = budget - parameters(sizes, ranks)
    for name, (_, unit) in sorted(sizes.items(), key=lambda item: item[1][0]):
        if abs(missing - unit) < abs(missing):
            ranks[name] += 1
            missing -= unit
    if abs(missing) > TOLERANCE * budget:
        layers = sorted({layer for layer, _ in sizes.values()})
        raise InputError(
            f"lora: no ranks on layers {layers} give {budget} trainable parameters within 1 %; the nearest, ranks "
            f"{min(ranks.values())} to {max(ranks.values())}, give {budget - missing}"
        )
    return ranks
