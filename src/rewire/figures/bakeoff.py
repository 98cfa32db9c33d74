"""The bake-off: how well every adapter strategy summarizes, and how far it is from the standard one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import bars, reference_line, rule
from rewire.figures.style import BLUE, GREY, INK, ORANGE, blank, save, themed

MEASURES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "facts": "Facts right"}
WHOLE = ("base", "full")  # no adapter: shown first, for scale
AGAINST = ("against_standard", "against_standard_low", "against_standard_high")
COLUMNS = (
    "strategy",
    "measure",
    "mean",
    "low",
    "high",
    "articles",
    "seeds",
    "parameters",
    "parameter_share",
    *AGAINST,
)


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a bake-off table. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a strategy and measure, 0..100, its interval and its distance from ``standard``."""
    found = list(dict.fromkeys(table["strategy"]))
    order = [*(s for s in WHOLE if s in found), *(s for s in found if s not in WHOLE)]
    compared = [s for s in order if s != "base"]  # so far off that it would squeeze the others
    size = f"{int(table['articles'].max()):,} articles, up to {int(table['seeds'].max())} seeds"
    heights = [len(order), max(1, len(compared))]
    out = blank(12.4, 2.0 + 0.42 * sum(heights), f"LoRA bake-off: {name} ({size}; mean, 95 % CI)")
    panels = out.subplots(2, len(MEASURES), sharey="row", height_ratios=heights)
    for column, (measure, title) in enumerate(MEASURES.items()):
        rows = table[table["measure"] == measure].set_index("strategy")
        scores(panels[0][column], rows.reindex(order), title)
        differences(panels[1][column], rows.reindex(compared), title)
    for row, strategies in zip(panels, (order, compared), strict=True):
        labels = [label(s, table[table["strategy"] == s].iloc[0]) for s in strategies]
        row[0].set_yticks(range(len(strategies)), labels)
        row[0].set_ylim(max(1, len(strategies)) - 0.5, -0.5)
    return out


def scores(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("F (%)" if title.startswith("ROUGE") else "of the names and numbers written (%)")
    points(axes, rows[["mean", "low", "high"]])
    if len(known(rows, "mean")):
        axes.set_xlim(0, min(100.0, 1.12 * np.nanmax(rows[["mean", "high"]].to_numpy())) or 1.0)


def differences(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    axes.set_title(f"{title}: difference from standard")
    axes.set_xlabel("strategy − standard (points)")
    points(axes, rows[list(AGAINST)])
    if len(known(rows, AGAINST[0])):
        reference_line(axes, vertical=True)
        if "standard" in rows.index:
            y = list(rows.index).index("standard")
            hollow = {"markerfacecolor": "white", "markeredgecolor": ORANGE, "markeredgewidth": 1.4}
            axes.plot(0, y, marker="o", markersize=5, **hollow)  # itself: no difference by definition


def label(strategy: str, row: pd.Series) -> str:
    """The strategy and, under it, its trainable parameters and their share of all."""
    if not np.isfinite(row["parameters"]):
        return {"base": "base\nno training", "full": "full\nall parameters"}.get(strategy, strategy)
    return f"{strategy}\n{int(row['parameters']):,} ({row['parameter_share']:.2g} %)"


def points(axes: Axes, rows: pd.DataFrame) -> None:
    """A point and interval a strategy: black without an adapter, orange for standard, blue for the rest."""
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    if not len(known(rows, rows.columns[0])):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    for y, strategy in enumerate(rows.index):
        colour = INK if strategy in WHOLE else ORANGE if strategy == "standard" else BLUE
        bars(axes, rows.loc[[strategy]], [y], colour)
    whole = sum(strategy in WHOLE for strategy in rows.index)
    if 0 < whole < len(rows):
        rule(axes, whole - 0.5)
