"""Means over examples with their intervals, by group of prompts. No torch. Definitions: docs/definitions.md, "Probes"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rewire.faithfulness.measures import normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.probes.studies import ALL, FIRST, LAST
from rewire.statistics import Array, benjamini_hochberg, paired_permutation
from rewire.tables import schema

SCHEMA = schema(
    group="string",
    run="string",
    site="string",
    layer="int32",
    head="int32",
    place="string",
    measure="string",
    value="float64",
    low="float64",
    high="float64",
    n="int32",
    p="float64",
    q="float64",
)
PLACE = ("run", "site", "layer", "head", "place")  # what a mean is taken at; null where it does not apply
RECOVERED = "recovered"


def grouped(groups: Sequence[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Each group's name and which examples are in it (int [n]); all of them first."""
    names = np.asarray(groups)
    yield ALL, np.arange(len(names))
    for name in dict.fromkeys(groups):
        if name != ALL:
            yield name, np.flatnonzero(names == name)


def summarise(
    rows: pd.DataFrame,
    groups: Mapping[str, str],
    measures: Sequence[str],
    ratio: bool = False,
    tested: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Rows of SCHEMA: every group's mean of every measure at every place.

    ``rows``: ``id``, columns of PLACE (those that it has) and measures, one row an example and place. ``groups``: id ->
    group. ``ratio``: also ``recovered``, from the columns logit_diff, logit_diff_clean and logit_diff_corrupted:
    mean(patched - corrupted) / mean(clean - corrupted). ``tested``: measures whose mean is tested against 0; of
    ``recovered`` it is the change of the logit difference. Examples of a group that lack a place do not count there.
    """
    places = [name for name in PLACE if name in rows]
    empty = {name: -1 if name in ("layer", "head") else "" for name in places}  # null is no key for pandas
    keyed = rows.fillna(empty).astype({name: "int64" for name in ("layer", "head") if name in places})
    columns = keyed.groupby(places, sort=False, observed=True).ngroup().to_numpy()
    where = keyed[places].drop_duplicates().to_dict("records")
    order = {name: i for i, name in enumerate(groups)}
    example = keyed["id"].map(order).to_numpy()
    needed = [*measures, *(("logit_diff", "logit_diff_clean", "logit_diff_corrupted") if ratio else ())]
    tables = {}
    for name in dict.fromkeys(needed):
        tables[name] = np.full((len(order), len(where)), np.nan)
        tables[name][example, columns] = keyed[name].to_numpy(dtype=float)
    found: list[dict[str, Any]] = []
    for group, members in grouped(list(groups.values())):
        here = {name: table[members] for name, table in tables.items()}
        found += with_q(list(group_rows(group, where, here, measures, ratio, tested)))
    return found


def group_rows(
    group: str,
    where: Sequence[Mapping[str, Any]],
    tables: Mapping[str, Array],
    measures: Sequence[str],
    ratio: bool,
    tested: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """One group's rows. ``tables``: measure -> [n, places], NaN where an example lacks a place."""
    known = np.isfinite(next(iter(tables.values())))
    for pattern in np.unique(known, axis=1).T:  # most often one: every example has every place
        if not pattern.any():
            continue
        chosen = np.flatnonzero((known == pattern[:, None]).all(axis=0))
        own = {name: table[np.ix_(pattern, chosen)] for name, table in tables.items()}  # [n, places]
        resamples = Resamples(int(pattern.sum()))
        means = {name: resamples.means(values.T) for name, values in own.items()}
        estimates = {name: resamples.interval(means[name]) for name in measures}
        if ratio:
            estimates[RECOVERED] = recovered(means, resamples)
            own[RECOVERED] = own["logit_diff"] - own["logit_diff_corrupted"]
        for measure, values in estimates.items():
            p = paired_permutation(own[measure]) if measure in tested else np.full(len(chosen), np.nan)
            for i, number in enumerate(chosen.tolist()):
                place = {key: given(key, at) for key, at in where[number].items()}
                numbers = dict(zip(("value", "low", "high", "p"), (*values[i], p[i]), strict=True))
                yield {"group": group, **place, "measure": measure, "n": resamples.n} | {
                    key: float(number) if np.isfinite(number) else None for key, number in numbers.items()
                }


def with_q(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One group's rows with q: the places of one measure of one site of a run are a family, a token with two labels once."""
    twin = twins(rows)
    families: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("place") not in twin:
            families.setdefault((row.get("run"), row["site"], row["measure"]), []).append(row)
    for family in families.values():
        found = benjamini_hochberg([np.nan if row["p"] is None else row["p"] for row in family])
        for row, q in zip(family, found, strict=True):
            row["q"] = float(q) if np.isfinite(q) else None
    own = {(row.get("place"), *inside(row)): row for row in rows}
    for row in rows:
        if row.get("place") in twin:
            row["q"] = own[twin[row["place"]], *inside(row)]["q"]
    return rows


def inside(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row is of, but for its label."""
    return tuple(row.get(name) for name in ("run", "site", "layer", "head", "measure"))


def twins(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """``difference`` and ``last`` of one group's rows -> another label that has all their numbers: one token, two labels."""
    numbers: dict[Any, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
    for row in rows:
        found = tuple(row.get(name) for name in ("value", "low", "high", "n", "p"))
        numbers.setdefault(row.get("place"), {})[inside(row)] = found
    same: dict[str, str] = {}
    for label in (FIRST, LAST):
        for other in sorted(numbers, key=lambda name: name == LAST):  # the study's own labels before
            if other not in (None, label, *same) and numbers[other] == numbers.get(label):
                same.setdefault(label, other)
    return same


def recovered(means: Mapping[str, Array], resamples: Resamples) -> Array:
    """[places, 3]: mean(patched - corrupted) / mean(clean - corrupted) of logit differences, and its interval."""
    # the same examples, hence the same two runs, at every place
    clean, corrupted = means["logit_diff_clean"][0], means["logit_diff_corrupted"][0]
    return normalised_interval(means["logit_diff"], clean, corrupted, resamples)


def given(key: str, value: Any) -> Any:
    """Null for what was filled in, and plain Python numbers."""
    if key in ("layer", "head"):
        return None if value < 0 else int(value)
    return None if value == "" else value
