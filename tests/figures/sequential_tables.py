"""Synthetic tables of sequential fine-tuning: four tasks, every ordered pair by two variants and one by a third."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from rewire.sequential import regression
from rewire.sequential.tables import CHANGES, MEASURES, PAIRS
from rewire.tables import write_table

TASKS = ("add", "sub", "max", "add_sub_alias")
STEPS = (0, 25, 75, 150)
VARIANTS = ("kept", "low_rate")


def runs(tasks: Sequence[str] = TASKS, variants: Sequence[str] = VARIANTS) -> list[dict[str, Any]]:
    out = [{"run": task, "kind": "single", "first": task, "tasks": [task]} for task in tasks]
    for variant in (*variants, "inside"):
        for first, second in list(permutations(tasks, 2))[: None if variant in variants else 1]:
            names = {"run": f"{first}-{second}/{variant}", "kind": "sequential", "variant": variant}
            out.append(names | {"first": first, "second": second, "tasks": [second]})
    return [*out, {"run": "add+sub", "kind": "multi", "tasks": ["add", "sub"]}]


def around(name: str, value: float, width: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - width, f"{name}_high": value + width}


def measured_tasks(run: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys([*filter(None, [run.get("first"), run.get("second")]), *run["tasks"]]))


def checkpoints(tables: Any, chosen: list[dict[str, Any]] | None = None) -> Path:
    rows = []
    for run in runs() if chosen is None else chosen:
        for task in measured_tasks(run):
            for step in STEPS:
                learned = 1 - np.exp(-step / 40)
                value = learned if task in run["tasks"] else 1 - 0.6 * learned
                row = {**run, "task": task, "step": step, "checkpoint": f"step-{step:06d}"}
                row |= around("accuracy", value, 0.05) | around("circuit_accuracy", 0.6 * value, 0.05)
                rows.append(row)
    write_table(tables.folder / "checkpoints.parquet", rows, MEASURES)
    return Path(tables.folder / "checkpoints.parquet")


def changes(tables: Any, chosen: list[dict[str, Any]] | None = None, floor: bool = True) -> Path:
    rows = []
    noise = np.random.default_rng(0)
    for run in runs() if chosen is None else chosen:
        for task in measured_tasks(run):
            for i, step in enumerate(STEPS[1:], start=1):
                for measure, size in (("edge_turnover", 0.9), ("node_turnover", 0.4), ("spearman", 0.5)):
                    row = {**run, "task": task, "step": step, "reference": "previous", "measure": measure}
                    value = size / i + noise.normal(0, 0.04)
                    row |= {"value": value, "low": value - 0.06, "high": value + 0.06}
                    if floor:
                        row |= around("floor", size / 3, 0.08) | around("reference_floor", size / 3.5, 0.08)
                    rows += [row, row | {"reference": "base"}]
    write_table(tables.folder / "changes.parquet", rows, CHANGES)
    return Path(tables.folder / "changes.parquet")


def pairs(
    tables: Any, chosen: list[dict[str, Any]] | None = None, unlearned: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Tables of pairs and of their regressions; forgetting falls with overlap."""
    rows = []
    noise = np.random.default_rng(1)
    for run in runs() if chosen is None else chosen:
        if run["kind"] != "sequential":
            continue
        overlap = noise.uniform(0.1, 0.7)
        row = {**run, "learned": run["first"] not in unlearned, "second_learned": True, "threshold": 0.9}
        for name in ("edge", "node", "weighted"):
            for of in ("", "_alone", "_kept"):
                row |= around(f"{name}_jaccard{of}", overlap + 0.1 * (name == "node"), 0.06)
        row |= around("first_on_second", overlap + noise.normal(0, 0.1), 0.1)
        row |= around("second_on_first", 1.4 * overlap - 0.2, 0.1)
        row |= around("second_accuracy_after", 0.9 + 0.1 * overlap, 0.03)
        row |= {"second_threshold": 0.9, "parameters": 25088 if run["variant"] == "inside" else 49664}
        if row["learned"]:
            row |= around("forgetting", 0.9 - overlap + noise.normal(0, 0.1), 0.05)
        rows.append(row)
    table, fits = tables.folder / "pairs.parquet", tables.folder / "regression.parquet"
    write_table(table, rows, PAIRS)
    regression.write_regression(table, fits, {"seed": 0})
    return table, fits
