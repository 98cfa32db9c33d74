"""Time two ways of doing the same, taking turns, so that a busy machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """A quantity over the repeats: median, smallest and largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of the reference, their ratio within each repeat, and ours' peak GPU memory in bytes."""

    ours: Spread
    reference: Spread
    ratio: Spread
    gpu_bytes: int | None


def seconds(work: Work, device: str) -> float:
    """How long ``work`` takes; on a GPU until the GPU is done with it."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


def repeat(work: Work, repeats: int, device: str) -> list[float]:
    """Seconds of ``work``, ``repeats`` times, after one that does not count."""
    work()
    return [seconds(work, device) for _ in range(repeats)]


def take_turns(ours: Work, reference: Work, repeats: int, device: str, units: int = 1) -> Comparison:
    """``ours`` against ``reference`` over ``repeats`` turns, after one that does not count.

    ``units``: how many of what the reference does once ours does in one call (circuits of a sweep).
    """
    reference()
    gpu_bytes = peak_gpu_bytes(ours, device)
    turns = [(seconds(ours, device) / units, seconds(reference, device)) for _ in range(repeats)]
    return Comparison(
        Spread.of([mine for mine, _ in turns]),
        Spread.of([theirs for _, theirs in turns]),
        Spread.of([mine / theirs for mine, theirs in turns]),
        gpu_bytes,
    )


def peak_gpu_bytes(work: Work, device: str) -> int | None:
    """Do ``work``: the most GPU memory allocated meanwhile, above what was allocated before; None on the CPU."""
    if device != "cuda":
        work()
        return None
    synchronise(device)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    synchronise(device)
    return torch.cuda.max_memory_allocated() - before


def synchronise(device: str) -> None:
    """Wait until the GPU is done; nothing on the CPU."""
    if device == "cuda":
        torch.cuda.synchronize()
