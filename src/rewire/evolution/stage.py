"""How the circuit changes over the checkpoints, from scores files to tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.evolution import changes, hypothesis
from rewire.evolution.trajectory import read_trajectory
from rewire.tables import write_table


def write_evolution(
    scores: Mapping[str, str | Path],
    steps: Mapping[str, int],
    settings: Mapping[str, Any],
    tables: Mapping[str, str | Path],
) -> None:
    """Compare the circuits of ``scores`` (checkpoint -> scores file, in training order, the base first).

    ``steps``: checkpoint -> training step; ``settings`` as in ``Trajectory``. ``tables`` -> path: ``circuits``, two rows
    a checkpoint, against the previous one and the base; ``changes``, each measure with interval and noise floor;
    ``layers``, edges born and lost; ``edges``, the circuits themselves; ``edge_centric``, the hypothesis.
    Errors: InputError that names the checkpoints that cannot be compared.
    """
    trajectory = read_trajectory(scores, steps, settings)
    write_table(tables["circuits"], changes.circuit_rows(trajectory), changes.SCHEMA)
    write_table(tables["changes"], changes.change_rows(trajectory), changes.CHANGES)
    write_table(tables["layers"], changes.layer_rows(trajectory), changes.LAYERS)
    write_table(tables["edges"], changes.edge_rows(trajectory), changes.EDGES)
    write_table(tables["edge_centric"], hypothesis.hypothesis_rows(trajectory), hypothesis.SCHEMA)
