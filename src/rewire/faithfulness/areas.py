"""CPR and CMD: one number for a whole faithfulness curve, with its interval and its null.

Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rewire.circuits.criteria import cmd, cpr
from rewire.faithfulness.measures import normalised, settled
from rewire.faithfulness.resamples import Resamples
from rewire.statistics import Array
from rewire.tables import schema

SCHEMA = schema(
    area="string",
    circuit="string",
    draw="int32",
    value="float64",
    low="float64",
    high="float64",
    p="float64",
    examples="int32",
)
AREAS = {
    "CPR": (cpr, "signed"),
    "CMD": (cmd, "absolute"),
}  # and the ranking of the edges that each is defined for

MATCHED = "absolute"  # the ranking whose circuits the random ones match in edges and layers


def rows(
    curve: Sequence[Mapping[str, Any]], whole: Mapping[str, Mapping[str, Array]], resamples: Resamples
) -> list[dict[str, Any]]:
    """A row for each area and curve, from the rows of a faithfulness table (``nll``: each example's).

    Examples are resampled together for all fractions. ``p``: of a curve and the random ones, the share that is at
    least as good; none where there is no interval, and none for CPR: random circuits match the circuits by |score|, those by
    signed score have other sizes and layer profiles.
    """
    clean, corrupted = (resamples.means(whole[run]["nll"]) for run in ("clean", "corrupted"))
    out = []
    for area, (measure, ranking) in AREAS.items():
        found: dict[tuple[str, int], Array] = {}
        for kind, draw, fractions, nll in curves(curve, ranking):
            faithful = normalised(resamples.means(nll), clean, corrupted)  # [fractions, 1 + resamples]
            drawn = measure(fractions, faithful.T)
            found[kind, draw] = settled(resamples.interval(drawn), clean, corrupted, resamples)
        null = np.array([value for (kind, _), (value, _, _) in found.items() if kind == "random"])
        for (kind, draw), (value, low, high) in found.items():
            unjudged = kind == "random" or ranking != MATCHED or np.isnan(low)
            out.append(
                {
                    "area": area,
                    "circuit": kind,
                    "draw": draw,
                    "value": value,
                    "low": low,
                    "high": high,
                    "p": None if unjudged else (1 + (null <= value).sum()) / (1 + len(null)),
                    "examples": resamples.n,
                }
            )
    return out


def curves(curve: Sequence[Mapping[str, Any]], ranking: str) -> Iterator[tuple[str, int, list[float], Array]]:
    """Kind, draw, fractions and NLL [fractions, examples] of each curve of one ranking, and of each random one."""
    grouped: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in curve:
        if row["ranking"] == ranking or row["circuit"] == "random":
            grouped.setdefault((row["circuit"], row["draw"]), []).append(row)
    for (kind, draw), group in grouped.items():
        yield kind, draw, [row["fraction"] for row in group], np.array([row["nll"] for row in group])
