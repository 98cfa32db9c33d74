"""A task's circuit at growing size, in the model that learned the task. Definitions: docs/definitions.md, "Circuit algebra"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.circuits.scores_file import read_scored_circuit
from rewire.circuits.selection import top_n
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import read_pairs
from rewire.sequential.measures import circuit_columns
from rewire.sequential.tables import CIRCUIT
from rewire.tables import schema, write_table

SCHEMA = schema(
    task="string",
    fraction="float64",  # of all edges, before pruning
    **CIRCUIT,
)


def write_curve(
    task: str,
    model: str | Path,
    scores: str | Path,
    judged: str | Path,
    settings: Mapping[str, Any],
    path: str | Path,
) -> None:
    """Every faithfulness of the circuit at each of ``settings["fractions"]`` of all edges, beside random circuits.

    ``model``: folder; ``scores``: its edge scores on the task's validation pairs; ``judged``: its test pairs. ``settings``: also
    circuits (batch_tokens), random (circuits a size), seed. Errors: InputError for scores of another graph.
    """
    bridge, (ranked, circuit) = load(model), read_scored_circuit(scores)
    if circuit.graph != bridge.graph:
        raise InputError(f"{scores}: a circuit of another graph than that of {model}")
    _, pairs = read_pairs(judged)
    rows = []
    for fraction in sorted(settings["fractions"]):
        grown = top_n(ranked, max(1, round(fraction * circuit.graph.n_edges)))
        row = circuit_columns(bridge, grown, pairs, settings)
        rows.append({"task": task, "fraction": fraction} | row)
    write_table(path, rows, SCHEMA)
