"""Intervals and tests over examples. Definitions: docs/definitions.md, "Statistics".

Columns (heads, layers, neurons, edges) are resampled and permuted together: a resample is one row of a matrix product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewire.errors import InputError

# scipy.stats takes a second to import and is imported where it is used: many a job needs none of it
MINIMUM = 5  # examples: with fewer no interval is given
METHODS = ("percentile", "BCa")
ROUNDING = 1e-12  # sums that differ by less, relative to the sum of absolute values, are ties
BLOCK = 4_000_000  # numbers of a matrix, or of a matrix product, that are held at once

Array = NDArray[np.float64]


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
    method: str = "percentile",
) -> Estimate:
    """``statistic`` of paired ``samples`` (arrays [n], resampled together) with a bootstrap interval.

    ``statistic`` takes the arrays and ``axis``. ``method``: ``percentile``, or ``BCa`` (Efron, 1987: corrected for bias
    and skew; needs a statistic that moves when one example is left out, else there is no interval).
    Fewer than 5 examples: no interval (NaN). A statistic that no resample changes is its own interval.
    """
    from scipy import stats

    check_method(method)
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    n = len(arrays[0])
    value = float(statistic(*arrays, axis=-1))
    if n < MINIMUM or not np.isfinite(value):
        return Estimate(value, float("nan"), float("nan"), n)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            arrays,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            confidence_level=confidence,
            method=method,
            rng=np.random.default_rng(seed),
        )
    if np.ptp(result.bootstrap_distribution) == 0:
        return Estimate(value, value, value, n)
    interval = result.confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), n)


def check_method(method: str) -> None:
    """InputError unless ``method`` is one of METHODS."""
    if method not in METHODS:
        raise InputError(f"interval method {method!r} is not one of {', '.join(METHODS)}")


def mean(values: Any, **options: Any) -> Estimate:
    """The mean of ``values`` [n] with its interval; ``options``: those of ``estimate``."""
    return estimate([values], **options)


def mean_difference(a: Any, b: Any, **options: Any) -> Estimate:
    """mean(a - b) of paired values [n] with its interval."""
    return mean(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), **options)


def bootstrap_weights(n: int, resamples: int, seed: int = 0) -> Array:
    """[resamples, n]: each row the share of every example in one resample; row @ values [n, k] is its mean."""
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    counts = np.zeros((resamples, n))
    np.add.at(counts, (np.arange(resamples)[:, None], drawn), 1.0)
    return counts / n


def nested_weights(n: int, outer: int, inner: int, seed: int = 0) -> Array:
    """[outer, inner, n]: resamples of resamples, the share of every example in each: what a bootstrap of other data gives.

    Each of the ``outer`` resamples of ``n`` examples is resampled ``inner`` times.
    """
    shares = bootstrap_weights(n, outer, seed)[:, None, :]
    return np.random.default_rng([seed, 1]).multinomial(n, shares, (outer, inner)) / n


def nested_interval(value: float, drawn: Array, n: int, draws: int, confidence: float = 0.95) -> Estimate:
    """A mean over ``draws`` resamples of ``n`` examples, with its error over examples.

    ``drawn`` [outer, inner]: the same statistic in nested resamples (``nested_weights``). The variance is that of the
    outer means, less what their few inner draws add (analysis of variance), plus what the draws of ``value`` itself add:
    more draws make it the error over examples, not 0. The ends are those of a t distribution of n - 1 degrees of freedom.
    """
    from scipy import stats

    if n < MINIMUM:
        return Estimate(value, float("nan"), float("nan"), n)
    within = drawn.var(axis=1, ddof=1).mean()
    between = max(0.0, drawn.mean(axis=1).var(ddof=1) - within / drawn.shape[1])
    reach = stats.t.ppf((1 + confidence) / 2, n - 1) * np.sqrt(between + within / draws)
    return Estimate(value, float(value - reach), float(value + reach), n)


def column_means(
    values: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    method: str = "percentile",
) -> tuple[Array, Array, Array]:
    """The mean of every column of ``values`` [n, k] and its bootstrap interval: (value, low, high), each [k].

    Equal to ``mean`` of each column. No interval (NaN) for fewer than 5 examples or a column that is not finite.
    """
    check_method(method)
    table = two_dimensional(values)
    n, columns = table.shape
    centre = table.mean(axis=0) if n else np.full(columns, np.nan)
    low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    if n < MINIMUM:
        return centre, low, high
    weights = bootstrap_weights(n, resamples, seed)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    for chosen in blocks(np.flatnonzero(np.isfinite(centre)), resamples):
        block = table[:, chosen]
        drawn = weights @ block
        levels = np.repeat(tails[:, None], len(chosen), axis=1)
        if method == "BCa":
            levels = corrected_levels(drawn, block, tails)
        for i, column in enumerate(chosen):
            if np.ptp(block[:, i]) == 0:
                low[column] = high[column] = centre[column]
            elif np.isfinite(levels[:, i]).all():
                low[column], high[column] = np.quantile(drawn[:, i], levels[:, i])
    return centre, low, high


def corrected_levels(drawn: Array, values: Array, tails: Array) -> Array:
    """BCa's quantile levels [2, k] for the means of ``values`` [n, k] with bootstrap means ``drawn`` [resamples, k].

    Efron (1987): bias z0 from the share of resamples below the estimate (ties count half), acceleration a from the
    jackknife, which for a mean is its skewness / (6 sqrt n).
    """
    from scipy import stats

    centre = values.mean(axis=0)
    below = ((drawn < centre).mean(axis=0) + (drawn <= centre).mean(axis=0)) / 2
    bias = stats.norm.ppf(below)
    moved = values - centre
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = (moved**3).sum(axis=0) / (6 * (moved**2).sum(axis=0) ** 1.5)
    shifted = bias + stats.norm.ppf(tails)[:, None]
    return stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))


def paired_permutation(differences: ArrayLike, resamples: int = 10_000, seed: int = 0) -> Array:
    """Two-sided p-value [k] that the mean of each column of paired ``differences`` [n, k] (or [n]) is 0.

    Under the null hypothesis a pair could as well have been swapped: the signs of whole rows are flipped, so that
    columns keep their correlation. All 2^n sign patterns where there are at most ``resamples`` of them (exact), else
    ``resamples`` random ones with the observed one counted in (Phipson & Smyth, 2010): p is never 0.
    A column that is not finite has p NaN.
    """
    table = two_dimensional(differences)
    n, columns = table.shape
    p = np.full(columns, np.nan)
    if not n:
        return p
    finite = np.flatnonzero(np.isfinite(table).all(axis=0))
    size = np.abs(table).sum(axis=0)
    observed = np.abs(table.sum(axis=0)) - ROUNDING * size
    reached = np.zeros(columns, dtype=np.int64)
    for signs in sign_flips(n, resamples, seed):
        for chosen in blocks(finite, len(signs)):
            reached[chosen] += (np.abs(signs @ table[:, chosen]) >= observed[chosen]).sum(axis=0)
    p[finite] = permutation_share(reached[finite], *permutations(n, resamples))
    return p


def permutations(n: int, resamples: int) -> tuple[int, bool]:
    """How many sign patterns of ``n`` pairs a test takes, and whether they are all there are (2^n, exact)."""
    exact = 2**n <= resamples
    return 2**n if exact else resamples, exact


def sign_flips(n: int, resamples: int, seed: int = 0) -> Iterator[Array]:
    """The patterns of ``permutations``: signs [rows, n], -1 where a pair is swapped, in blocks of at most BLOCK numbers.

    The blocks follow each other as if drawn at once, so that what is held does not grow with ``n``.
    """
    count, exact = permutations(n, resamples)
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK // max(1, n))
    for first in range(0, count, step):
        rows = np.arange(first, min(first + step, count))
        if exact:
            yield np.where(rows[:, None] >> np.arange(n) & 1, -1.0, 1.0)
        else:
            yield rng.choice(np.array([-1.0, 1.0]), size=(len(rows), n))


def permutation_p(reached: NDArray[np.bool_], exact: bool) -> Any:
    """p from which of the permutations [R, ...] reached the observed value: see ``permutation_share``."""
    return permutation_share(reached.sum(axis=0), len(reached), exact)


def permutation_share(reached: Any, count: int, exact: bool) -> Any:
    """Share of ``count`` permutations that ``reached`` the observed value, which is counted in unless they are exact."""
    return reached / count if exact else (reached + 1) / (count + 1)


def benjamini_hochberg(p: ArrayLike) -> Array:
    """q-values of a family of p-values, in its shape: the false discovery rate at which each is rejected.

    Benjamini & Hochberg (1995). NaN stays NaN and does not count as a test.
    """
    from scipy import stats

    p = np.asarray(p, dtype=float)
    q = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested], method="bh")
    return q


def proportion(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share of trials with its exact (Clopper-Pearson) interval; fewer than 5 trials: no interval."""
    from scipy import stats

    if trials < MINIMUM:
        return Estimate(successes / trials if trials else float("nan"), float("nan"), float("nan"), trials)
    interval = stats.binomtest(successes, trials).proportion_ci(confidence)
    return Estimate(successes / trials, float(interval.low), float(interval.high), trials)


def two_dimensional(values: ArrayLike) -> Array:
    """``values`` [n, k], or [n] as one column, in float64."""
    table = np.asarray(values, dtype=float)
    if table.ndim not in (1, 2):
        raise InputError(f"values of {table.ndim} dimensions, expected [examples] or [examples, columns]")
    return table[:, None] if table.ndim == 1 else table


def blocks(columns: NDArray[np.intp], rows: int) -> list[NDArray[np.intp]]:
    """``columns`` in stretches of which ``rows`` numbers each make at most BLOCK."""
    step = max(1, BLOCK // rows)
    return [columns[i : i + step] for i in range(0, len(columns), step)]
