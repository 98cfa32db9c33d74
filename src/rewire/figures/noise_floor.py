"""How far circuits of one and the same model agree: what a change has to exceed. Definitions: "Robustness"."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from rewire.figures.frames import known
from rewire.statistics import MINIMUM


class Spread(NamedTuple):
    """Mean, 5th and 95th percentile of some values; all NaN for none, the percentiles for fewer than 5."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """``0.54 (5–95 %: 0.47–0.61)``"""
        if not np.isfinite(self.mean):
            return "not measured"
        between = f" (5–95 %: {self.low:.2f}–{self.high:.2f})" if np.isfinite(self.low) else ""
        return f"{self.mean:.2f}{between}"


def spread(rows: pd.DataFrame, column: str) -> Spread:
    """The spread of ``column``, its NaN left out."""
    values = known(rows, column)[column].to_numpy(dtype=float)
    low, high = np.quantile(values, (0.05, 0.95)) if len(values) >= MINIMUM else (np.nan, np.nan)
    return Spread(float(values.mean()) if len(values) else np.nan, float(low), float(high))


def noise_floor(agreement: pd.DataFrame, model: str, column: str) -> Spread:
    """The spread of ``column`` over the bootstrap pairs of ``model`` in an agreement table."""
    own = (agreement["model"] == model) & (agreement["study"] == "bootstrap")
    return spread(agreement[own], column)
