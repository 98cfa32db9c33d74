"""Forgetting against overlap of circuits, over pairs of tasks: a straight line, a logistic curve, ranks.

Definitions: docs/definitions.md, "Forgetting and overlap".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from rewire.sequential.tables import PAIRS
from rewire.statistics import MINIMUM, Array
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(
    variant="string",  # how the second stage is trained: a key of sequential.variants
    overlap="string",  # a column of PAIRS: what forgetting is regressed on
    fit="string",  # linear, logistic or spearman
    statistic="string",  # linear: slope, intercept, r, r2; logistic: slope, intercept, r2; spearman: rho
    value="float64",
    low="float64",  # 95 %, pairs resampled; NaN where there is no interval
    high="float64",
    pairs="int32",  # that the fit is of
    excluded="int32",  # whose first task was never learned
    undefined="int32",  # that was learned, but forgetting or overlap has no value
    second_unlearned="int32",  # of `pairs`, whose second task was not learned: a lesser interference
    enough="bool",  # whether there is an interval: enough pairs, and a value in every resample
)
OVERLAPS = tuple(
    f"{kind}_jaccard{of}" for of in ("", "_alone", "_kept") for kind in ("edge", "node", "weighted")
)
RESAMPLES = 2000
TAILS = (0.025, 0.975)
STEPS = 100  # of the logistic fit; most end within 20
SETTLED = 1e-13  # change of the sum of squares, relative to it, at which a fit ends
QUARTILES = (0.25, 0.5, 0.75)
STEEP = 8.0  # slope on standardised overlaps: from .02 to .98 within one standard deviation
TINY = 1e-12  # what keeps the normal equations of a curve that is flat solvable

Fit = Callable[[Array, Array], dict[str, Array]]  # x and y [R, n] -> statistics [R]


def write_regression(pairs_table: str | Path, path: str | Path, settings: Mapping[str, Any]) -> None:
    """Regress forgetting on every overlap, variant by variant. ``pairs_table``: PAIRS; ``settings``: seed.

    A pair whose first task was never learned is left out and counted, and so, apart, is one without a value. One whose second
    task was not learned stays and is counted. Errors: InputError that names the table without a column.
    """
    rows = read_table(pairs_table, PAIRS.names).to_pylist()
    out = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        unlearned = sum(not row["learned"] for row in own)
        for overlap in OVERLAPS:
            there = usable(own, overlap)
            x, y = (np.array([row[name] for row in there], dtype=float) for name in (overlap, "forgetting"))
            second = sum(not row["second_learned"] for row in there)
            for name, fit in FITS.items():
                for statistic, (value, low, high) in fitted(fit, x, y, settings["seed"]).items():
                    out.append(
                        {
                            "variant": variant,
                            "overlap": overlap,
                            "fit": name,
                            "statistic": statistic,
                            "value": value,
                            "low": low,
                            "high": high,
                            "pairs": len(x),
                            "excluded": unlearned,
                            "undefined": len(own) - unlearned - len(x),
                            "second_unlearned": second,
                            "enough": bool(np.isfinite(low)),
                        }
                    )
    write_table(path, out, SCHEMA)


def usable(rows: list[dict[str, Any]], overlap: str) -> list[dict[str, Any]]:
    """The pairs that have an overlap and forgetting."""
    values = np.array([[row[overlap], row["forgetting"]] for row in rows], dtype=float).reshape(-1, 2)
    return [row for row, known in zip(rows, np.isfinite(values).all(axis=1), strict=True) if known]


def fitted(fit: Fit, x: Array, y: Array, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Every statistic of ``fit`` with its interval (value, low, high), the pairs resampled together (percentile).

    No interval (NaN) for fewer than 5 pairs, or where a resample leaves a statistic undefined: all overlaps, or all
    forgetting, the same.
    """
    values = fit(x[None], y[None])
    drawn = fit(*resampled(x, y, seed)) if len(x) >= MINIMUM else {}
    return {name: (float(value[0]), *interval(drawn.get(name))) for name, value in values.items()}


def interval(drawn: Array | None) -> tuple[float, float]:
    if drawn is None or not np.isfinite(drawn).all():
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def resampled(x: Array, y: Array, seed: int) -> tuple[Array, Array]:
    """[RESAMPLES, n] each: pairs drawn with replacement."""
    drawn = np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))
    return x[drawn], y[drawn]


def linear(x: Array, y: Array) -> dict[str, Array]:
    """Least squares y = intercept + slope x; r is Pearson's, r2 its square. NaN for fewer than 2 pairs or a constant."""
    r = correlation(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = r * deviation(y) / deviation(x)
    intercept = mean(y) - slope * mean(x)
    return {"slope": slope, "intercept": intercept, "r": r, "r2": r**2}


def spearman(x: Array, y: Array) -> dict[str, Array]:
    """Spearman's rank correlation, ties at their mean rank."""
    return {
        "rho": correlation(*(stats.rankdata(values, axis=1) if values.size else values for values in (x, y)))
    }


def correlation(x: Array, y: Array) -> Array:
    """Pearson's r of each row; NaN where a row is constant or has fewer than 2 values."""
    if x.shape[1] < 2:
        return np.full(len(x), np.nan)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return np.asarray(stats.pearsonr(x, y, axis=1).statistic)


def mean(values: Array) -> Array:
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)


def deviation(values: Array) -> Array:
    return values.std(axis=1) if values.shape[1] else np.full(len(values), np.nan)


def logistic(x: Array, y: Array) -> dict[str, Array]:
    """Least squares y = 1 / (1 + exp(-(intercept + slope x))); r2 = 1 - residual / total sum of squares.

    Forgetting below 0 (the second task helped) is kept as it is: the curve ends at 0. NaN for fewer than 3 pairs, or a constant.
    All rows at once by Levenberg's and Marquardt's method, which scipy has for one at a time, from several starts.
    """
    if x.shape[1] < 3:
        return {name: np.full(len(x), np.nan) for name in ("slope", "intercept", "r2")}
    centre, scale = x.mean(axis=1), x.std(axis=1)
    total = np.sum((y - y.mean(axis=1, keepdims=True)) ** 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (x - centre[:, None]) / scale[:, None]  # so that both parameters are of the size of 1
        z = np.nan_to_num(z)
        best, cost = lowest(z, y, starts(z, y))
        slope = best[:, 0] / scale
        found = np.stack([slope, best[:, 1] - slope * centre, 1 - cost / total])
    found[:, (np.ptp(x, axis=1) == 0) | (np.ptp(y, axis=1) == 0)] = np.nan
    return dict(zip(("slope", "intercept", "r2"), found, strict=True))


def starts(z: Array, y: Array) -> list[Array]:
    """Parameters [R, 2] to begin from: the line through the logits, and steps up and down at the quartiles of z."""
    near = linear(z, special.logit(np.clip(y, 0.02, 0.98)))
    found = [np.nan_to_num(np.stack([near["slope"], near["intercept"]], axis=1))]
    for middle in np.quantile(z, QUARTILES, axis=1):
        found += [np.stack([np.full(len(z), slope), -slope * middle], axis=1) for slope in (STEEP, -STEEP)]
    return found


def lowest(z: Array, y: Array, begun: list[Array]) -> tuple[Array, Array]:
    """``least_squares`` from every start, each row's best: noisy rows have several minima."""
    best, cost = least_squares(z, y, begun[0])
    for start in begun[1:]:
        other, reached = least_squares(z, y, start)
        better = reached < cost
        best[better], cost[better] = other[better], reached[better]
    return best, cost


def least_squares(z: Array, y: Array, start: Array) -> tuple[Array, Array]:
    """Parameters [R, 2] of the logistic curves through z and y [R, n], from ``start``, and their sums of squares [R].

    Marquardt (1963): damped Gauss-Newton steps, taken where they lessen the sum of squares.
    """
    best, damping = start.copy(), np.full(len(z), 1e-2)
    cost = np.sum((special.expit(best[:, :1] * z + best[:, 1:]) - y) ** 2, axis=1)
    active = np.arange(len(z))
    for _ in range(STEPS):
        own, x = best[active], z[active]
        curve = special.expit(own[:, :1] * x + own[:, 1:])
        steepness = curve * (1 - curve)
        gradient = np.stack([steepness * x, steepness], axis=2)  # [active, n, 2]
        normal = gradient.swapaxes(1, 2) @ gradient
        pull = ((y[active] - curve)[:, None] @ gradient)[:, 0]
        weight = damping[active] * np.trace(normal, axis1=1, axis2=2) + TINY
        step = np.linalg.solve(normal + weight[:, None, None] * np.eye(2), pull[:, :, None])[:, :, 0]
        tried = own + step
        reached = np.sum((special.expit(tried[:, :1] * x + tried[:, 1:]) - y[active]) ** 2, axis=1)
        moving = np.abs(cost[active] - reached) > SETTLED * cost[active]
        better = reached < cost[active]
        best[active[better]], cost[active[better]] = tried[better], reached[better]
        damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 5), 1e-12, 1e12)
        active = active[moving]
        if not len(active):
            break
    return best, cost


FITS: dict[str, Fit] = {"linear": linear, "logistic": logistic, "spearman": spearman}
CURVES = ("linear", "logistic")  # fits that can be drawn


def band(name: str, x: Array, y: Array, grid: Array, seed: int = 0) -> Array:
    """[3, grid]: the fitted curve at ``grid`` and its 95 % interval, the pairs resampled; NaN as in ``fitted``."""

    def at(found: Mapping[str, Array]) -> Array:
        line = found["intercept"][:, None] + found["slope"][:, None] * grid
        return line if name == "linear" else np.asarray(special.expit(line))

    out = np.full((3, len(grid)), np.nan)
    out[0] = at(FITS[name](x[None], y[None]))[0]
    if len(x) >= MINIMUM:
        drawn = at(FITS[name](*resampled(x, y, seed)))
        if np.isfinite(drawn).all():
            out[1:] = np.quantile(drawn, TAILS, axis=0)
    return out
