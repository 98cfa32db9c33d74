"""Confidence intervals by bootstrap. Definitions: docs/definitions.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

MINIMUM = 5  # examples: with fewer no interval is given


@dataclass(frozen=True)
class Estimate:
    """A number and its confidence interval; ``low`` and ``high`` are NaN where there are too few examples."""

    value: float
    low: float
    high: float
    n: int


def estimate(
    samples: Sequence[Any],
    statistic: Callable[..., Any] = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """``statistic`` of paired ``samples`` (arrays [n], resampled together) with a percentile bootstrap interval.

    ``statistic`` takes the arrays and ``axis``. Fewer than 5 examples: no interval (NaN). All examples equal: the
    interval is the value itself.
    """
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    n = len(arrays[0])
    value = float(statistic(*arrays, axis=-1))
    if n < MINIMUM or not np.isfinite(value):
        return Estimate(value, float("nan"), float("nan"), n)
    interval = stats.bootstrap(
        arrays,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), n)


def mean(values: Any, **options: Any) -> Estimate:
    """The mean of ``values`` [n] with its interval."""
    return estimate([values], **options)


def mean_difference(a: Any, b: Any, **options: Any) -> Estimate:
    """mean(a - b) of paired values [n] with its interval."""
    return mean(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), **options)
