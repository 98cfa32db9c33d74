"""The most resident memory that this process has held: in all, and since a moment of one's choice."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_forgotten = [0]  # peaks in bytes, before the moments from which others were counted


def forget_peak() -> bool:
    """Count ``peak_since_forgotten`` from now on: proc(5), clear_refs. False where this system does not allow it."""
    peak = _high_water()
    if peak is None:
        return False
    try:
        FORGET.write_text("5")
    except OSError:
        return False
    _forgotten.append(peak)
    return True


def peak_since_forgotten() -> int | None:
    """Bytes; None where ``forget_peak`` never succeeded."""
    return _high_water() if len(_forgotten) > 1 else None


def peak_memory() -> int:
    """Bytes at the highest since the process began, whatever was forgotten."""
    peak = _high_water()
    if peak is None:
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = held if sys.platform == "darwin" else held * 1024
    return max(peak, *_forgotten)


def _high_water() -> int | None:
    # ru_maxrss on Linux counts the process that started this one too
    found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.M) if STATUS.exists() else None
    return int(found[1]) * 1024 if found else None
