"""Do groups of prompts use the same parts of the model? Correlation of their profiles, and clusters. No torch.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from rewire.probes.profiles import Profile
from rewire.statistics import Array
from rewire.tables import schema

SCHEMA = schema(
    measure="string",
    sites="string",
    group="string",
    other="string",
    place="int32",
    other_place="int32",
    pearson="float64",
    spearman="float64",
    n="int32",
)


def pairing_rows(profiles: Iterable[Profile]) -> Iterator[dict[str, Any]]:
    """Rows of SCHEMA: every two groups, by each family of places that two groups share.

    ``place``: where the group stands when alike ones stand together (average linkage over 1 - Pearson). ``n``: places
    compared: those where every group has a value.
    """
    for profile in profiles:
        wide = profile.table()
        if len(wide) > 1 and wide.shape[1] > 1:
            yield from compare(wide.index.tolist(), wide.to_numpy(), profile.measure, profile.family)


def compare(groups: Sequence[str], values: Array, measure: str, family: str) -> Iterator[dict[str, Any]]:
    """Every two groups' correlation over the columns of ``values`` [groups, places]; null where one is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        pearson = np.atleast_2d(np.corrcoef(values))
        spearman = np.atleast_2d(np.corrcoef(stats.rankdata(values, axis=1)))
    order = np.argsort(clustered(pearson))
    for i, group in enumerate(groups):
        for j, other in enumerate(groups):
            numbers = {"pearson": pearson[i, j], "spearman": spearman[i, j]}
            yield {
                "measure": measure,
                "sites": family,
                "group": group,
                "other": other,
                "place": int(order[i]),
                "other_place": int(order[j]),
                "n": values.shape[1],
            } | {name: float(number) if np.isfinite(number) else None for name, number in numbers.items()}


def clustered(correlation: Array) -> Array:
    """The order [groups] in which alike groups stand together: leaves of an average-linkage tree over 1 - correlation."""
    distance = 1 - np.nan_to_num(correlation, nan=0.0)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(np.clip(distance, 0, None), checks=False), "average"))
