"""Necessity, completeness and minimality of the circuit of one checkpoint, each with its null, as one table.

Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.faithfulness import completeness, minimality, necessity
from rewire.faithfulness.trial import prepare
from rewire.models import load
from rewire.pairs import read_pairs
from rewire.tables import schema, write_table

SCHEMA = schema(
    criterion="string",
    circuit="string",
    draw="int32",
    removed="string",
    value="float64",
    low="float64",
    high="float64",
    p="float64",
    q="float64",
    edges="int32",
    examples="int32",
)


def write_criteria(
    checkpoint: str | Path,
    pairs: str | Path,
    scores_path: str | Path,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
    path: str | Path,
) -> None:
    """Judge the circuit that one half of the pairs gives on the other half.

    ``scores_path``: the checkpoint's edge scores; ``circuits``: the settings they were made with, ``fraction`` its size; ``settings``: random (draws), knockouts (random sets of
    nodes), greedy (nodes at most), dropped_edges (at most), seed, batch_tokens.
    ``criterion``: ``necessity`` (f), ``completeness, random``, ``completeness, greedy``, ``minimality`` (nats a token);
    ``circuit``: ``circuit`` or ``random``; ``removed``: the edge or the nodes. Errors: InputError for fewer than 2 pairs.
    """
    trial = prepare(load(checkpoint), read_pairs(pairs)[1], scores_path, circuits, settings)
    rows = [
        *necessity.rows(trial),
        *completeness.rows(trial, settings["knockouts"], settings["greedy"]),
        *minimality.rows(trial, settings["dropped_edges"]),
    ]
    size = {"edges": trial.circuit.n_edges, "examples": len(trial.judged)}
    write_table(path, [row | size for row in rows], SCHEMA)
