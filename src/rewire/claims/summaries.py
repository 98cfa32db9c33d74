"""Measures of pairs and summaries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rewire import statistics
from rewire.claims.frames import Tables, frame
from rewire.statistics import Estimate


def effect(tables: Tables, corruption: str) -> np.ndarray | None:
    """[examples]: NLL(corrupted) - NLL(clean) of the last checkpoint, or None if the corruption was not run."""
    table = frame(tables, "effect")
    last = table["checkpoint"].iloc[-1]
    chosen = table[(table["corruption"] == corruption) & (table["checkpoint"] == last)].sort_values("id")
    return (chosen["nll_corrupted"] - chosen["nll_clean"]).to_numpy() if len(chosen) else None


def mask_effect(tables: Tables) -> Estimate | None:
    masked = effect(tables, "mask")
    return None if masked is None else statistics.mean(masked)


def mask_minus_random_effect(tables: Tables) -> Estimate | None:
    masked, control = effect(tables, "mask"), effect(tables, "random")
    return None if masked is None or control is None else statistics.mean_difference(masked, control)


def rouge1_gain(tables: Tables) -> Estimate:
    before, after = (frame(tables, name)["rouge1"] for name in ("summaries_base", "summaries"))
    return statistics.mean_difference(after, before)


def rouge1(tables: Tables) -> Estimate:
    return statistics.mean(frame(tables, "summaries")["rouge1"])


def fact_share(name: str) -> Callable[[Tables], Estimate]:
    """Right names and numbers over all that were generated, percent, pooled over articles."""

    def measure(tables: Tables) -> Estimate:
        table = frame(tables, name)

        def share(right: np.ndarray, generated: np.ndarray, axis: int = -1) -> np.ndarray:
            return 100 * right.sum(axis=axis) / np.maximum(generated.sum(axis=axis), 1)

        return statistics.estimate([table["facts_right"], table["facts_generated"]], share)

    return measure
