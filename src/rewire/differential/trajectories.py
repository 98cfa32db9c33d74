"""Every measure of the differential analysis against the training step: one table of all checkpoints. No torch.

Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rewire.differential.neurons import SCHEMA as NEURONS
from rewire.differential.summary import SCHEMA as SUMMARY
from rewire.differential.weights import SCHEMA as WEIGHTS
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(checkpoint="string", step="int64", **{field.name: str(field.type) for field in SUMMARY})
CHANGED = 0.05  # false discovery rate at which a neuron counts as changed


def write_trajectories(
    tables: Mapping[str, Mapping[str, str | Path]],
    steps: Mapping[str, int],
    training: str | Path | None,
    path: str | Path,
) -> None:
    """Rows of ``summary`` with their checkpoint and step before them, and what is not an example's: weights and neurons.

    ``tables``: checkpoint -> its tables ``summary``, ``neurons`` and ``weights``, in training order. ``steps``: checkpoint ->
    step. ``training``: the training table, for the gradient norm at every logged step; None where nothing was trained.
    """
    rows: list[dict[str, Any]] = []
    of_neurons = ["layer", *NEURONS.names[8:]]
    for checkpoint, files in tables.items():
        place = {"checkpoint": checkpoint, "step": steps[checkpoint]}
        found = [
            *read(files["summary"], SUMMARY.names),
            *weight_rows(read(files["weights"], WEIGHTS.names)),
            *neuron_rows(read_table(files["neurons"], of_neurons).select(of_neurons)),
        ]
        rows += [place | row for row in found]
    if training is not None:
        rows += gradient_rows(read(training, ["step", "gradient_norm"]))
    write_table(path, rows, SCHEMA)


def read(path: str | Path, columns: list[str]) -> list[dict[str, Any]]:
    """Those columns of a table as rows."""
    return read_table(path, columns).select(columns).to_pylist()


def weight_rows(weights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """||W_Q - W_P|| / ||W_P|| of every matrix; ``site`` is its name."""
    return [
        {
            "family": "weights",
            "measure": "weight_change",
            "site": row["matrix"],
            "layer": row["layer"],
            "value": row["relative"],
        }
        for row in weights
    ]


def neuron_rows(neurons: Any) -> list[dict[str, Any]]:
    """By layer: the share of neurons that changed (q < .05) and the mean |Cohen's d|; null where too few examples were read."""
    frame = neurons.to_pandas()
    frame["changed"] = (frame["q"] < CHANGED).astype(float).where(frame["q"].notna())
    frame["size"] = frame["cohens_d"].abs()
    by_layer = frame.groupby("layer").agg(
        changed=("changed", "mean"), size=("size", "mean"), n=("n", "first")
    )
    columns = {"share_of_changed_neurons": "changed", "mean_absolute_cohens_d": "size"}
    return [
        {"family": "neurons", "measure": measure, "site": "mlp_neurons", "layer": layer, "n": int(row["n"])}
        | {"value": float(row[column]) if np.isfinite(row[column]) else None}
        for measure, column in columns.items()
        for layer, row in by_layer.iterrows()
    ]


def gradient_rows(training: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gradient's L2 norm before clipping, at every step that has one."""
    return [
        {"family": "training", "measure": "gradient_norm", "step": row["step"], "value": row["gradient_norm"]}
        for row in training
        if row["gradient_norm"] is not None
    ]
