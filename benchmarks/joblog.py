"""What a job says in its own log (``rewire.jobs``): its threads, and the wall seconds that it started, imported and worked."""

from __future__ import annotations

import re
from typing import NamedTuple

THREADS = re.compile(r"rewire\.jobs: threads (\d+)")
SAID = re.compile(r"rewire\.jobs: ([\d.]+) s starting, ([\d.]+) s importing, ([\d.]+) s working")


class Said(NamedTuple):
    """Wall seconds, as the job itself counts them."""

    threads: int
    starting: float
    importing: float
    working: float

    @property
    def seconds(self) -> float:
        return self.starting + self.importing + self.working


def said(text: str) -> Said | None:
    """What the log of a job says; None for one that has not ended, or that is no job's."""
    threads, times = THREADS.search(text), SAID.search(text)
    return Said(int(threads[1]), *map(float, times.groups())) if threads and times else None
