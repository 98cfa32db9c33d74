"""Whole attention patterns of chosen heads on one prompt of every group: what a reader looks at sentence by sentence.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from rewire.probes.heads import Head
from rewire.probes.pair_runs import Batch
from rewire.probes.prompts import Prompts
from rewire.tables import schema

SCHEMA = schema(
    id="string",
    run="string",
    layer="int32",
    head="int32",
    query="int32",
    key="int32",
    attention="float64",
)


def first_of_groups(groups: Sequence[str]) -> set[int]:
    """Which prompts come first in their group."""
    return {groups.index(group) for group in dict.fromkeys(groups)}


def patterns(batch: Batch, prompts: Prompts, heads: Sequence[Head]) -> Iterator[pd.DataFrame]:
    """Rows of SCHEMA and ``number``: attention of every query on itself and the positions before it, in both runs."""
    chosen = first_of_groups(prompts.groups)
    for row, number in enumerate(batch.index.tolist()):
        if number not in chosen:
            continue
        for side, run in batch.runs().items():
            query, key = np.tril_indices(run.shape[1])
            for layer, head in heads:
                weights = run.pattern(layer)[row, head].double().cpu().numpy()  # [T, T]
                place = {"id": prompts.ids[number], "run": side, "layer": layer, "head": head}
                cells = {"query": query, "key": key, "attention": weights[query, key]}
                yield pd.DataFrame({"number": number, **place, **cells})
