"""The bake-off: how well every adapter strategy summarizes, and how far it is from the standard and the random one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.figures.frames import known
from rewire.figures.panels import bars, reference_line, rule
from rewire.figures.strategies import BASE, FULL, RANDOM, STANDARD, WHOLE, in_order, read_bakeoff, sample_size
from rewire.figures.strategies import COLUMNS as SHARED
from rewire.figures.style import BLUE, GREY, INK, ORANGE, blank, save, themed
from rewire.lora.verdicts import BETTER, WORSE

MEASURES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "facts": "Facts right"}
REFERENCES = (STANDARD, RANDOM)
PARTS = ("", "_low", "_high", "_detectable", "_verdict")  # of a difference
COLUMNS = (*SHARED, *(f"against_{reference}{part}" for reference in REFERENCES for part in PARTS))
SHADE = "#dedede"
ROW = 0.42  # inches a strategy


def draw(table: str | Path, runs: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a bake-off's tables. Errors: InputError that names the one that is empty or lacks a column."""
    save(figure(*read_bakeoff(table, runs, COLUMNS, list(MEASURES)), name), png, svg)


@themed
def figure(table: pd.DataFrame, runs: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a strategy and measure, its interval and its distance from the references; ``runs``: a row a run."""
    order = in_order(table["strategy"])
    compared = [s for s in order if s != BASE]  # so far off that it would squeeze the others
    references = [name for name in REFERENCES if name == STANDARD or name in order]
    shown = [order, *[compared] * len(references)]
    heights = [max(1, len(strategies)) for strategies in shown]
    height = 1.8 + 0.5 * len(references) + ROW * sum(heights)
    out = blank(12.4, height, f"LoRA bake-off: {name} ({sample_size(table)}; mean, 95 % CI)")
    panels = out.subplots(len(shown), len(MEASURES), sharey="row", height_ratios=heights)
    for column, (measure, title) in enumerate(MEASURES.items()):
        rows = table[table["measure"] == measure].set_index("strategy")
        scores(panels[0][column], rows.reindex(order), runs.set_index("strategy")[measure], title)
        for row, reference in zip(panels[1:], references, strict=True):
            differences(row[column], rows.reindex(compared), title, reference)
    for row, strategies in zip(panels, shown, strict=True):
        labels = [label(s, table[table["strategy"] == s].iloc[0]) for s in strategies]
        row[0].set_yticks(range(len(strategies)), labels)
        row[0].set_ylim(max(1, len(strategies)) - 0.5, -0.5)
    out.legend(handles=handles(), loc="outside lower left", ncols=5, handletextpad=0.5)
    return out


def handles() -> list[Line2D | Patch]:
    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE}
    return [
        Line2D([], [], **{**point, "linestyle": "-"}, label="mean and interval"),
        Line2D([], [], **point, markersize=3, alpha=0.6, label="one run (seed)"),
        Line2D([], [], **point, label="difference: better or worse"),
        Line2D(
            [], [], **point, markerfacecolor="white", markeredgecolor=BLUE, label="none found, or not tested"
        ),
        Patch(color=SHADE, label="true differences too small to be found with 80 % power"),
    ]


def scores(axes: Axes, rows: pd.DataFrame, runs: pd.Series, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("F (%)" if title.startswith("ROUGE") else "of the names and numbers written (%)")
    if not points(axes, rows[["mean", "low", "high"]]):
        return
    for y, strategy in enumerate(rows.index):
        values = runs[runs.index == strategy].to_numpy(dtype=float)
        height = np.full(len(values), y + 0.27)
        axes.scatter(values, height, s=9, color=colour(strategy), alpha=0.6, linewidths=0, zorder=2)
    axes.set_xlim(0, min(100.0, 1.12 * np.nanmax(rows[["mean", "high"]].to_numpy())) or 1.0)


def differences(axes: Axes, rows: pd.DataFrame, title: str, reference: str) -> None:
    axes.set_title(f"{title}: difference from {reference}")
    axes.set_xlabel(f"strategy − {reference} (points)")
    difference, low, high, detectable, verdict = (f"against_{reference}{part}" for part in PARTS)
    interval = rows[[difference, low, high]]
    if not points(axes, interval):
        return
    reference_line(axes, vertical=True)
    numbers = np.append(interval.to_numpy(dtype=float).ravel(), 0.0)
    left, right = np.nanmin(numbers), np.nanmax(numbers)
    margin = 0.08 * (right - left) or 1.0
    axes.set_xlim(left - margin, right + margin)  # a band that is wider reaches the edge
    for y, (strategy, row) in enumerate(rows.iterrows()):
        if np.isfinite(row[detectable]):
            axes.barh(y, 2 * row[detectable], 0.72, -row[detectable], color=SHADE, linewidth=0, zorder=0.5)
        if strategy == reference:
            axes.text(0, y, " reference ", color=GREY, ha="left" if right > -left else "right", va="center")
        elif row[verdict] not in (BETTER, WORSE):
            hollow: dict[str, Any] = {
                "markerfacecolor": "white",
                "markeredgecolor": colour(strategy),
                "markeredgewidth": 1.3,
            }
            axes.plot(row[difference], y, marker="o", markersize=5, zorder=5, **hollow)


def label(strategy: str, row: pd.Series) -> str:
    """The strategy and, under it, its trainable parameters and their share of all."""
    if not np.isfinite(row["parameters"]):
        return {BASE: "base\nno training", FULL: "full\nall parameters"}.get(strategy, strategy)
    share = "all" if row["parameter_share"] == 100 else f"{row['parameter_share']:.2g} %"
    return f"{strategy}\n{int(row['parameters']):,} ({share})"


def colour(strategy: str) -> str:
    """Black without an adapter, orange for standard, blue for the rest."""
    return INK if strategy in WHOLE else ORANGE if strategy == STANDARD else BLUE


def points(axes: Axes, rows: pd.DataFrame) -> bool:
    """A point and interval a strategy; False, and said so, where there is none."""
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    if not len(known(rows, rows.columns[0])):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return False
    for y, strategy in enumerate(rows.index):
        bars(axes, rows.loc[[strategy]], [y], colour(strategy))
    whole = sum(strategy in WHOLE for strategy in rows.index)
    if 0 < whole < len(rows):
        rule(axes, whole - 0.5)
    return True
