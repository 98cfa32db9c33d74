"""What a run cost: seconds and memory. Unlike a result it differs from machine to machine and time to time."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from transformers import TrainerCallback


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
    """Row of a cost table. ``seconds``: mean step x ``steps``, so that a run that was resumed is not counted short."""
    found = {"steps": steps, "seconds": f"{timer.mean * steps:.3f}", "peak_memory_mb": f"{peak_memory():.1f}"}
    return run | found | {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"}


def peak_memory() -> float:
    """MB (1e6 bytes): of the GPU since ``start_measuring``, without one the most this process ever held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
