"""Summaries and folders of bake-off runs as the stages before it write them, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rewire.rouge import ROUGE
from rewire.summaries import OF_SEEDS, SCHEMA
from rewire.tables import schema, write_table

PLAN = schema(
    strategy="string",
    seed="int32",
    learning_rate="float64",
    layers="list<int32>",
    heads="list<string>",
    ranks="list<int32>",
    modules="list<string>",
    parameters="int64",
    base_parameters="int64",
    best_step="int64",
    best_loss="float64",
    steps="int64",
)
TRAINING = schema(step="int64", train_loss="float64", validation_loss="float64")


def write_summaries(
    path: Path,
    rouge: Sequence[float] | np.ndarray,
    seed: int | None = None,
    right: int = 1,
    generated: int = 2,
    first: int = 0,
) -> Path:
    """A table of one article a value of ``rouge``, numbered from ``first``; ``seed``: of the run, None for the base."""
    row = {"seed": seed, "generated": "g", "reference": "r", "facts_reference": 3}
    row |= {"facts_generated": generated, "facts_right": right}
    rows = [
        {"id": f"r{i}", **row, **dict.fromkeys(ROUGE, float(value))} for i, value in enumerate(rouge, first)
    ]
    write_table(path, rows, SCHEMA if seed is None else OF_SEEDS)
    return path


def write_run(
    folder: Path, name: tuple[str, int], losses: Sequence[float | None], every: int = 50, **plan: object
) -> Path:
    """A run's folder: ``losses`` at step 0, ``every``, ... (None: not validated), and the plan that follows from them."""
    rows = [{"step": i * every, "validation_loss": loss} for i, loss in enumerate(losses)]
    write_table(folder / "training.parquet", rows, TRAINING)
    known = [row for row in rows if row["validation_loss"] is not None] or [
        {"step": 0, "validation_loss": None}
    ]
    best = min(known, key=lambda row: row["validation_loss"] or 0)
    row = {
        "strategy": name[0],
        "seed": name[1],
        "learning_rate": 4e-3,
        "layers": [0, 2],
        "heads": [],
        "ranks": [4, 5],
        "modules": ["h.0", "h.2"],
        "parameters": 100,
        "base_parameters": 900,
        "best_step": best["step"],
        "best_loss": best["validation_loss"],
        "steps": (len(losses) - 1) * every,
    }
    write_table(folder / "plan.parquet", [row | plan], PLAN)
    return folder
