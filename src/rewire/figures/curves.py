"""Curves over layers or steps from rows of a summary table: a line, its interval, a word where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rewire.figures.frames import known
from rewire.figures.panels import band, no_data

SUMMARY = ("family", "measure", "site", "layer", "head", "value", "low", "high", "n", "p", "q")
SIGNIFICANT = 0.05  # false discovery rate that is marked
HOLLOW: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.2,
}


def choose(table: pd.DataFrame, family: str, measure: str, site: str | None = None) -> pd.DataFrame:
    """The rows of one measure (at one site)."""
    rows = table[(table["family"] == family) & (table["measure"] == measure)]
    return rows if site is None else rows[rows["site"] == site]


def curve(axes: Axes, rows: pd.DataFrame, x: str, colour: str, with_band: bool = False, **style: Any) -> None:
    """``value`` against column ``x``, with the band from ``low`` to ``high`` if wanted."""
    rows = known(rows, "value").sort_values(x)
    if not len(rows):
        return
    if with_band:
        band(axes, rows[x], rows["low"], rows["high"], colour)
    axes.plot(rows[x], rows["value"], color=colour, **{"marker": "o"} | style)


def interval_text(rows: pd.DataFrame) -> str:
    """What to say about the intervals in ``rows``, and over how many examples they are."""
    n = rows["n"].dropna()
    if not len(n):
        return "no interval"
    examples = f"{int(n.max()):,} examples"
    return f"95 % CI,\n{examples}" if len(known(rows, "low")) else f"no interval:\n{examples}"


def layer_axis(axes: Axes, label: str = "layer") -> None:
    """Whole layers on the x axis; a word if nothing was drawn."""
    axes.set_xlabel(label)
    if not axes.lines:
        no_data(axes)
        return
    top = int(max(np.max(np.asarray(line.get_xdata(), dtype=float)) for line in axes.lines))
    axes.set_xticks(range(0, top + 1, 1 + top // 10))


def titled(axes: Axes, texts: Mapping[str, str], measure: str) -> None:
    """Title and y label of ``measure``: ``texts`` maps it to both, parted by a bar."""
    title, label = texts[measure].split("|")
    axes.set_title(title)
    axes.set_ylabel(label)
