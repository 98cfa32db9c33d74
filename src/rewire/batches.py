"""Examples in batches that fit: one that does not fit in memory is halved and tried again."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from rewire.errors import InputError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
# how allocators say it that have no exception of their own for it
OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


class Batches:
    """Runs work on one batch after another and remembers, from one ``run`` to the next, what fits.

    ``most``: the largest size of a batch: its number of examples times the size of its largest one.
    ``what``: what the work is called in the log and in errors.
    """

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what

    def run(
        self,
        order: Sequence[int],
        sizes: Sequence[int],
        work: Callable[[list[int]], Result],
    ) -> Iterator[tuple[list[int], Result]]:
        """Each batch of ``order``, the numbers of examples, and what ``work`` makes of it; one example at least.

        ``sizes``: of every example, by its number. ``work`` may be called again on the first half of a batch, so it leaves
        nothing behind where it fails. Errors: InputError that names an example which does not fit on its own.
        """
        start = 0
        while start < len(order):
            batch = list(order[start : self.end(order, sizes, start)])
            done = attempt(work, batch)
            if done is not None:
                start += len(batch)
                yield batch, done[0]
            elif len(batch) == 1:
                raise InputError(f"{self.what}: example {batch[0]} alone does not fit in memory")
            else:
                half = len(batch) // 2
                self.most = half * max(sizes[i] for i in batch)
                log.warning(
                    "%s: %d examples at once do not fit in memory, going on with %d",
                    self.what,
                    len(batch),
                    half,
                )

    def end(self, order: Sequence[int], sizes: Sequence[int], start: int) -> int:
        """Where the batch ends that begins at ``start``: it is no larger than ``most``, or one example."""
        largest = 0
        for end in range(start, len(order)):
            largest = max(largest, sizes[order[end]])
            if end > start and (end + 1 - start) * largest > self.most:
                return end
        return len(order)


def attempt(work: Callable[[list[int]], Result], batch: list[int]) -> tuple[Result] | None:
    """What ``work`` makes of ``batch``, None if memory does not suffice; then what it held is free again."""
    try:
        return (work(batch),)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # past the except clause: the error's traceback holds what the batch had allocated
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed, on the GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY)
