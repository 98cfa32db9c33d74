"""What becomes of each task's circuit from checkpoint to checkpoint of one run: the tables of ``rewire.evolution``, by task.

Definitions: docs/definitions.md, "Sequential fine-tuning" and "Evolution".
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rewire.checkpoints.names import checkpoint_name
from rewire.evolution.changes import change_rows, circuit_rows, layer_rows
from rewire.evolution.hypothesis import columns, judged, known_cases
from rewire.evolution.trajectory import Trajectory, read_trajectory
from rewire.sequential.declared import Run
from rewire.sequential.tables import EVOLUTION
from rewire.tables import write_table

Rows = list[dict[str, Any]]


def write_evolution(
    run: Run,
    files: Mapping[str, Mapping[int, Path]],
    settings: Mapping[str, Any],
    outputs: Mapping[str, str | Path],
) -> None:
    """Compare the circuits of each task of a run with the previous checkpoint's and with step 0's.

    ``files``: task -> step -> scores file. ``settings``: fraction, resamples, random, seed, alpha, controls (same_model,
    rewired). ``outputs``: changes, turnover, layers, edge_centric. Errors: InputError as ``read_trajectory``.
    """
    rows: dict[str, Rows] = {name: [] for name in EVOLUTION}
    for task, steps in files.items():
        trajectory = trajectory_of(steps, settings)
        found = {
            "changes": change_rows(trajectory),
            "turnover": circuit_rows(trajectory),
            "layers": layer_rows(trajectory),
            "edge_centric": tested_rows(trajectory, seed_of(settings["seed"], run.name, task)),
        }
        for name in EVOLUTION:
            rows[name] += [run.columns() | {"task": task} | row for row in found[name]]
    for name, schema in EVOLUTION.items():
        write_table(outputs[name], rows[name], schema)


def trajectory_of(files: Mapping[int, Path], settings: Mapping[str, Any]) -> Trajectory:
    """The circuits of one task, by step."""
    steps = {checkpoint_name(step): step for step in sorted(files)}
    return read_trajectory({name: files[step] for name, step in steps.items()}, steps, settings)


def tested_rows(trajectory: Trajectory, seed: int) -> Rows:
    """Rows of EDGE_CENTRIC of one task; ``seed``: of its known cases, which are the last checkpoint's."""
    known = known_cases(trajectory, list(trajectory.scores)[-1], seed)
    shares: dict[str, Any] = {}
    for name, share in known.items():
        shares |= columns(name, share)
    results = judged(trajectory)
    rows = []
    for comparison in trajectory.comparisons:
        result = results[comparison.pair]
        rows.append(comparison._asdict() | asdict(result) | {"verdict": result.verdict} | shares)
    return rows


def seed_of(seed: int, *names: str) -> int:
    """A seed of its own for what ``names`` name, so that several runs draw independently of each other."""
    return int(np.random.SeedSequence([seed, zlib.crc32("\n".join(names).encode())]).generate_state(1)[0])
