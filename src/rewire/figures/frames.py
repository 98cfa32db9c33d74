"""Tables as data frames, checked for what a figure needs, and means with intervals by group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rewire import statistics
from rewire.errors import InputError
from rewire.tables import read_table


def read_frame(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """``columns`` of the table at ``path``, null numbers as NaN.

    Errors: InputError that names the file: not readable, without rows, or without one of the columns.
    """
    table = read_table(path, columns)
    if not table.num_rows:
        raise InputError(f"{path}: the table has no rows, nothing to draw")
    return table.select(list(columns)).to_pandas()


def known(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows where ``column`` is a finite number."""
    return frame[np.isfinite(frame[column].to_numpy(dtype=float))]


def mean_intervals(frame: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """Columns ``by``, value, low, high, n: mean of ``value`` in each group, 95 % bootstrap interval."""
    rows = []
    for key, group in known(frame, value).groupby(by, sort=True):
        mean = statistics.mean(group[value].to_numpy(dtype=float))
        rows.append({by: key, "value": mean.value, "low": mean.low, "high": mean.high, "n": mean.n})
    return pd.DataFrame(rows, columns=[by, "value", "low", "high", "n"])
