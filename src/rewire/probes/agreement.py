"""In which parts of the model groups of prompts agree and in which they differ: a row a part that leads in some group. No torch.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from rewire.probes.profiles import NONE, PLACE, Profile
from rewire.statistics import MINIMUM, Array, benjamini_hochberg
from rewire.tables import schema

LEADING = (
    3  # places of a site that lead in a group: those of largest |value|, a quarter of the site's at most
)
SIGNIFICANT = 0.05
ROUNDING = (
    1e-6  # errors and differences below it, of values above 1 relative to them, are those of arithmetic
)
NORMAL = 2 * stats.norm.ppf(0.975)  # standard errors in a 95 % interval
SCHEMA = schema(
    measure="string",
    sites="string",
    site="string",
    layer="int32",
    head="int32",
    neuron="int32",
    place="string",
    mean="float64",
    least="float64",
    most="float64",
    spread="float64",
    leads_in="int32",
    groups="int32",
    leading="list<string>",
    p="float64",
    q="float64",
    verdict="string",
)


def agreement_rows(profiles: Iterable[Profile]) -> Iterator[dict[str, Any]]:
    """Rows of SCHEMA for every place that leads in some group, those that lead in most groups first, site by site."""
    for profile in profiles:
        values = profile.table()
        if len(values) < 2 or not values.shape[1]:
            continue
        p = welch(values.to_numpy(), *standard_errors(profile))
        q = benjamini_hochberg(p)
        rows = []
        for at, leads in leading(values).items():
            own = values.iloc[:, at]
            rows.append(
                {"measure": profile.measure, "sites": profile.family, **place(values.columns[at])}
                | {"mean": own.mean(), "least": own.min(), "most": own.max(), "spread": own.std(ddof=1)}
                | {"leads_in": len(leads), "groups": len(values), "leading": leads}
                | {"p": given(p[at]), "q": given(q[at])}
                | {"verdict": verdict(len(leads), len(values), q[at])}
            )
        order = list(dict.fromkeys(profile.rows["site"]))
        yield from sorted(rows, key=lambda r: (order.index(r["site"]), -r["leads_in"], -abs(r["mean"])))


def leading(values: pd.DataFrame) -> dict[int, list[str]]:
    """Column of ``values`` [groups, places] -> the groups in which it leads among the places of its site."""
    sites = np.array([column[0] for column in values.columns])
    found: dict[int, list[str]] = {}
    for site in dict.fromkeys(sites.tolist()):
        columns = np.flatnonzero(sites == site)
        count = min(LEADING, -(-len(columns) // 4))
        for group, row in zip(values.index, values.to_numpy(), strict=True):
            size = np.abs(row[columns])
            for i in np.argsort(-size, kind="stable")[:count]:
                if size[i] > 0:
                    found.setdefault(int(columns[i]), []).append(group)
    return found


def standard_errors(profile: Profile) -> tuple[Array, Array]:
    """[groups, places] of means, from their 95 % bootstrap intervals, and the number of prompts [groups, places].

    A bootstrap draws from n prompts as they are, so that its variance is (n - 1) / n of the mean's.
    """
    low, high, n = (profile.table(column).to_numpy() for column in ("low", "high", "n"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (high - low) / NORMAL * np.sqrt(n / (n - 1)), n


def welch(values: Array, errors: Array, n: Array) -> Array:
    """p [places] that the groups' means [groups, places] are one: Welch's analysis of variance (1951).

    ``errors``: their standard errors; ``n``: prompts. An error below ROUNDING is 0: p is 1 where all are and the means
    agree, and one beside larger ones counts as ROUNDING. NaN where a group has no error, or fewer than MINIMUM prompts,
    or where means without errors differ.
    """
    count = len(values)
    tolerance = ROUNDING * np.maximum(1, np.abs(values))
    exact = errors < tolerance
    errors = np.where(exact, tolerance, errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = errors**-2.0
        share = weight / weight.sum(axis=0)
        centre = (share * values).sum(axis=0)
        unequal = ((1 - share) ** 2 / (n - 1)).sum(axis=0)
        between = (weight * (values - centre) ** 2).sum(axis=0) / (count - 1)
        statistic = between / (1 + 2 * (count - 2) / (count**2 - 1) * unequal)
        p = stats.f.sf(statistic, count - 1, (count**2 - 1) / (3 * unequal))
    same = exact.all(axis=0) & (np.ptp(values, axis=0) <= tolerance.max(axis=0))
    known = (np.isfinite(errors) & (n >= MINIMUM)).all(axis=0) & (same | ~exact.all(axis=0))
    return np.where(known, np.where(same, 1.0, p), np.nan)


def verdict(leads: int, groups: int, q: float) -> str:
    """``agree``: leads everywhere and no firm difference in size; ``differ``: a firm one; ``open``: neither; ``untested``: no q."""
    if not np.isfinite(q):
        return "untested"
    if q < SIGNIFICANT:
        return "differ"
    return "agree" if leads == groups else "open"


def place(column: tuple[Any, ...]) -> dict[str, Any]:
    """The columns of PLACE, null for what a place lacks."""
    where = dict(zip(PLACE, column, strict=True))
    return {name: None if value in (NONE, "") else value for name, value in where.items()}


def given(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
