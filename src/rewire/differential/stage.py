"""The differential stage: two model folders and pairs in, the tables of one checkpoint out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.differential.comparison import compare
from rewire.differential.critical_layers import write_critical_layers
from rewire.differential.summary import SCHEMA as SUMMARY
from rewire.differential.summary import summary_rows
from rewire.differential.tables import write_examples
from rewire.differential.weights import SCHEMA as WEIGHTS
from rewire.differential.weights import weight_changes
from rewire.models import load
from rewire.pairs import TokenPairs, read_pairs
from rewire.tables import write_table


def write_differential(
    base: str | Path,
    checkpoint: str | Path,
    pairs: str | Path,
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """Compare two model folders on the clean side of ``pairs``.

    ``settings``: the config's differential section. ``tables``: where to write ``layers``, ``heads`` (a row an example),
    ``neurons``, ``weights``, ``summary`` and ``critical_layers``. What can fail is worked out before any of them is written.
    """
    ids, examples = read_pairs(pairs)
    p, q = load(base), load(checkpoint)
    names = (str(base), str(checkpoint))
    read = tokens_read(examples)
    found, neurons = compare(p, q, read, ids, names, settings["positions"], settings["batch_tokens"])
    moved = weight_changes(p, q)
    summary = summary_rows(found, settings["permutations"])
    write_critical_layers(
        found, settings["critical_layers"], settings["permutations"], tables["critical_layers"]
    )
    write_table(tables["summary"], summary, SUMMARY)
    write_table(tables["weights"], moved, WEIGHTS)
    write_examples(found, tables["layers"], tables["heads"])
    neurons.write(tables["neurons"])


def tokens_read(pairs: TokenPairs) -> TokenPairs:
    """The tokens that a model reads to predict the targets: all but the last, which is only predicted."""
    return TokenPairs(pairs.clean[:, :-1], pairs.corrupted[:, :-1], pairs.lengths - 1)
