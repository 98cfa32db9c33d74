"""A progress bar in a terminal, nothing in a log file."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def bar(total: int, what: str, unit: str) -> tqdm[Any]:
    """A tqdm bar on stderr that stays quiet when stderr is not a terminal (``disable=None``)."""
    return tqdm(total=total, desc=what, unit=unit, disable=None, leave=False)
