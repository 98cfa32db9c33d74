"""The rank of every adapted module, so that strategies train equally many parameters.

Definitions: docs/definitions.md, "Bake-off".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rewire.errors import InputError

TOLERANCE = 0.01  # trainable parameters match within this share
ROUNDING = 1e-9

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


def matched_ranks(
    sizes: Sizes, budget: int, weights: Mapping[int, float], caps: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Module name -> rank, at least 1 and at most its cap, in proportion to its layer's weight (1 where ``weights`` has
    none), so that the trainable parameters are ``budget`` within 1 %. ``caps``: module name -> largest rank.

    All ranks are rounded down; what is missing is filled by one more rank, largest remainder first: for all layers of
    one weight together, then for one kind of module in all of them, so that equal layers stay equal; for single modules,
    first layers first, only where that is not within 1 %.
    Errors: InputError that says the nearest sum. It can only come if rank 1 on every module is over the budget, if
    some module's share of it is less than rank 1, if the caps do not hold it, or if half of the largest module's
    parameters at rank 1 are more than 1 % of it: a module that was left out of the filling, or overshot it, misses by at
    most half its own.
    """
    caps = caps or {}
    ideal = shares(sizes, budget, weights, caps)
    together, single = fillings(sizes, ideal)
    tried = [filled(sizes, budget, ideal, caps, groups) for groups in (together + single, single)]
    ranks = next((ranks for ranks in tried if matches(sizes, ranks, budget)), None)
    if ranks is None:
        nearest = min(tried, key=lambda ranks: abs(budget - parameters(sizes, ranks)))
        layers = sorted({layer for layer, _ in sizes.values()})
        raise InputError(
            f"lora: no ranks in proportion on layers {layers} give {budget} trainable parameters within 1 %; the nearest, ranks "
            f"{min(nearest.values())} to {max(nearest.values())}, give {parameters(sizes, nearest)}"
        )
    return ranks


def matches(sizes: Sizes, ranks: Mapping[str, int], budget: int) -> bool:
    return abs(budget - parameters(sizes, ranks)) <= TOLERANCE * budget


def shares(
    sizes: Sizes, budget: int, weights: Mapping[int, float], caps: Mapping[str, int]
) -> dict[str, float]:
    """Module name -> its rank before rounding; what a capped module cannot take goes to the others."""
    settled: dict[str, float] = {}
    while len(settled) < len(sizes):
        free = {name: size for name, size in sizes.items() if name not in settled}
        left = budget - sum(rank * sizes[name][1] for name, rank in settled.items())
        weight = sum(weights.get(layer, 1) * unit for layer, unit in free.values())
        found = {name: left / weight * weights.get(layer, 1) for name, (layer, _) in free.items()}
        over = {name: float(caps[name]) for name in free if found[name] > caps.get(name, math.inf)}
        settled |= over or found
    return {name: settled[name] for name in sizes}


def fillings(sizes: Sizes, ideal: Mapping[str, float]) -> tuple[list[set[str]], list[set[str]]]:
    """Modules whose ranks rise together, in the order in which they are tried, and single ones: largest remainder of
    ``ideal`` first, of equals the first layers. Together: those of one ideal rank, then one kind of module among them.
    """
    names = sorted(sizes, key=lambda name: (lowest_rank(ideal[name]) - ideal[name], sizes[name][0]))
    whole: dict[float, set[str]] = {}
    alike: dict[tuple[float, str], set[str]] = {}
    for name in names:
        kind = re.sub(r"\.\d+\.", ".*.", name, count=1)  # the same module in every layer
        whole.setdefault(ideal[name], set()).add(name)
        alike.setdefault((ideal[name], kind), set()).add(name)
    return [*whole.values(), *alike.values()], [{name} for name in names]


def filled(
    sizes: Sizes, budget: int, ideal: Mapping[str, float], caps: Mapping[str, int], groups: Sequence[set[str]]
) -> dict[str, int]:
    """``ideal`` ranks rounded down, and one more for each group that brings the sum closer to ``budget``.

    A group of several may not overshoot by more than 1 %, and single modules rise only as long as the sum is not
    within it.
    """
    ranks = {name: lowest_rank(share) for name, share in ideal.items()}
    missing, bound = budget - parameters(sizes, ranks), TOLERANCE * budget
    can_rise = {
        name
        for name, rank in ranks.items()
        if rank < caps.get(name, math.inf)
        and rank <= ideal[name] + ROUNDING  # rank 1 may be more than its share
    }
    for group in groups:
        left = missing - sum(sizes[name][1] for name in group)
        if not group <= can_rise or abs(left) >= abs(missing):
            continue
        if abs(missing) > bound if len(group) == 1 else left >= -bound:
            ranks |= {name: ranks[name] + 1 for name in group}
            can_rise -= group
            missing = left
    return ranks


def lowest_rank(share: float) -> int:
    return max(1, int(share + ROUNDING))
