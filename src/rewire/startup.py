"""How long a process takes before and beside its work: to start, and to import what it works with."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

STAT, UPTIME = Path("/proc/self/stat"), Path("/proc/uptime")


@dataclass
class Imports:
    """Wall seconds in which modules of Python code were loaded, and what those import in their turn."""

    seconds: float = 0.0


def age() -> float:
    """Wall seconds since this process began: proc(5), stat; where there is no such file, its processor seconds."""
    if not STAT.exists():
        return time.process_time()
    # the name, in parentheses, may hold spaces; starttime is field 22
    ticks = int(STAT.read_text().rpartition(")")[2].split()[19])
    return float(UPTIME.read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def counted_imports() -> Iterator[Imports]:
    """Counts the imports of the main thread inside the block, wherever they stand, and keeps the garbage collector out.

    What an import makes is there to stay: the collector walks it again and again for nothing, a fifth of the time that
    torch and transformers take.
    """
    counted = Imports()
    load = SourceFileLoader.exec_module
    loading = False

    def timed(loader: SourceFileLoader, module: ModuleType) -> None:
        nonlocal loading
        if loading or threading.current_thread() is not threading.main_thread():
            return load(loader, module)
        loading, start, collecting = True, time.perf_counter(), gc.isenabled()
        gc.disable()
        try:
            return load(loader, module)
        finally:
            loading = False
            if collecting:
                gc.enable()
            counted.seconds += time.perf_counter() - start

    SourceFileLoader.exec_module = timed  # type: ignore[method-assign,assignment]
    try:
        yield counted
    finally:
        SourceFileLoader.exec_module = load  # type: ignore[method-assign]
