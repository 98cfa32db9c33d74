"""What a run cost: seconds and memory. Unlike a result it differs from machine to machine and time to time."""

from __future__ import annotations

import csv
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

COLUMNS = ("strategy", "seed", "learning_rate", "steps", "seconds", "peak_memory_mb", "device")


class StepTimer(TrainerCallback):
    """Mean seconds of an optimizer step, of those that this process did."""

    def __init__(self) -> None:
        self.seconds, self.steps, self.started = 0.0, 0, 0.0

    def on_step_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self.started
        self.steps += 1

    @property
    def mean(self) -> float:
        return self.seconds / self.steps if self.steps else float("nan")


def start_measuring() -> StepTimer:
    """A timer; the GPU's peak memory counts from now on."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return StepTimer()


def cost_row(timer: StepTimer, steps: int, **run: Any) -> dict[str, Any]:
    """Row of COLUMNS. ``seconds``: mean step x ``steps``, so that a run that was resumed is not counted short."""
    found = {"steps": steps, "seconds": f"{timer.mean * steps:.3f}", "peak_memory_mb": f"{peak_memory():.1f}"}
    return run | found | {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"}


def peak_memory() -> float:
    """MB (1e6 bytes): of the GPU since ``start_measuring``, without one the most this process ever held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def write_costs(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tab-separated COLUMNS, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)


def read_costs(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
