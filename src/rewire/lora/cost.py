"""What a run cost: seconds and memory. Unlike a result it differs from machine to machine and time to time."""

from __future__ import annotations

import time
from typing import Any

import torch
from transformers import TrainerCallback

from rewire.memory import forget_peak, peak_since_forgotten


class StepTimer(TrainerCallback):
    """Mean seconds of an optimizer step, of those that this process did."""

    def __init__(self, counts_memory: bool = False) -> None:
        self.counts_memory = counts_memory
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
    """A timer; peak memory counts from now on, of the GPU or, without one, of this process where Linux allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return StepTimer(counts_memory=torch.cuda.is_available() or forget_peak())


def cost_row(timer: StepTimer, steps: int, **run: Any) -> dict[str, Any]:
    """Row of a cost table. ``seconds``: mean step x ``steps``, so that a run that was resumed is not counted short."""
    peak = measured_peak() if timer.counts_memory else None  # else it might be an earlier run's
    megabytes = "" if peak is None else f"{peak / 1e6:.1f}"
    found = {"steps": steps, "seconds": f"{timer.mean * steps:.3f}", "peak_memory_mb": megabytes}
    return run | found | {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"}


def measured_peak() -> int | None:
    """Bytes since ``start_measuring``: of the GPU, without one the most this process held."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_since_forgotten()
