"""Forgetting of a first task against the overlap of its circuit with the second task's, with the fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import band, legend, no_data, reference_line
from rewire.figures.sequential_runs import MARKERS, main_variants, spelled, task_colours, tasks_of
from rewire.figures.style import GREY, INK, blank, save, themed
from rewire.sequential import regression

OVERLAPS = {"edge_jaccard": "edge Jaccard", "node_jaccard": "node Jaccard"}
ENDS = ("", "_low", "_high")
COLUMNS = (
    "run",
    "kind",
    "variant",
    "first",
    "second",
    *(name + end for name in ("forgetting", *OVERLAPS) for end in ENDS),
)
COUNTS = ("pairs", "excluded", "undefined", "second_unlearned")
FITTED = ("variant", "overlap", "fit", "statistic", "value", "low", "high", *COUNTS)
LINES = {"linear": (INK, "solid"), "logistic": (GREY, (0, (5, 2)))}
POINTS = 60  # of a fitted curve


def draw(
    pairs: str | Path, fits: str | Path, name: str, png: str | Path, svg: str | Path, seed: int = 0
) -> None:
    """Draw the tables of pairs and of regressions; ``seed``: that of the regressions. Errors: InputError that names a table that is empty or lacks a column."""
    save(figure(read_frame(pairs, COLUMNS), read_frame(fits, FITTED), name, seed), png, svg)


@themed
def figure(pairs: pd.DataFrame, fits: pd.DataFrame, name: str, seed: int = 0) -> Figure:
    """``pairs``: a row a pair and variant; ``fits``: what `regression` made of them. A column of panels a main variant."""
    variants, tasks = main_variants(pairs), tasks_of(pairs)
    colours, markers = task_colours(tasks), dict(zip(tasks, MARKERS * 5, strict=False))
    out = blank(4.1 * max(1, len(variants)) + 2.4, 7.6, f"Forgetting and overlap of circuits: {name}")
    panels = out.subplots(len(OVERLAPS), max(1, len(variants)), squeeze=False, sharey=True)
    for (overlap, label), row in zip(OVERLAPS.items(), panels, strict=True):
        for variant, axes in zip(variants, row, strict=False):
            own = pairs[pairs["variant"] == variant]
            chosen = fits[(fits["variant"] == variant) & (fits["overlap"] == overlap)]
            axes.set_title(f"{variant}\n{described(chosen)}")
            axes.set_xlabel(f"{label} of circuits (first before, second after)")
            scatter(axes, own, overlap, colours, markers)
            fit_lines(axes, own, overlap, seed)
        row[0].set_ylabel("forgetting, share of accuracy lost")
        for axes in row:
            if not axes.has_data():
                no_data(axes, shared=True)
    legend(out, handles(tasks, colours, markers))
    return out


def described(fits: pd.DataFrame) -> str:
    """The statistics of the fits, with their intervals, for a title."""

    def text(fit: str, statistic: str, symbol: str) -> str:
        rows = fits[(fits["fit"] == fit) & (fits["statistic"] == statistic)]
        if not len(rows) or not np.isfinite(rows["value"].iloc[0]):
            return f"{symbol} –"
        value, low, high = rows[["value", "low", "high"]].iloc[0]
        between = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else " (no interval)"
        return f"{symbol} {value:.2f}{between}"

    if not len(fits):
        return "no fit"
    n, unlearned, undefined, second = fits[list(COUNTS)].iloc[0].astype(int)
    count = f"{n} pairs" + (f", {unlearned} left out (first task not learned)" if unlearned else "")
    count += f"\n{undefined} more without forgetting or overlap" if undefined else ""
    count += f"\nsecond task not learned in {second} of them" if second else ""
    straight = f"{text('linear', 'r', 'r')}, {text('linear', 'r2', 'R²')}"
    return f"{count}\n{straight}\n{text('logistic', 'r2', 'logistic R²')}\n{text('spearman', 'rho', 'Spearman ρ')}"


def scatter(
    axes: Axes, rows: pd.DataFrame, overlap: str, colours: dict[str, str], markers: dict[str, str]
) -> None:
    """A point a pair with both intervals."""
    for _, row in known(known(rows, overlap), "forgetting").iterrows():
        place = row[overlap], row["forgetting"]
        reach = [
            [[abs(row[name] - row[name + end])] for end in ("_low", "_high")]
            for name in (overlap, "forgetting")
        ]
        axes.errorbar(
            *place,
            xerr=reach[0],
            yerr=reach[1],
            color=colours[row["first"]],
            marker=markers[row["second"]],
            markersize=6.5,
            elinewidth=0.8,
            alpha=0.9,
            zorder=3,
        )
    if axes.has_data():
        reference_line(axes)


def fit_lines(axes: Axes, rows: pd.DataFrame, overlap: str, seed: int) -> None:
    """Both curves with their bands, over the overlaps that there are."""
    own = known(known(rows, overlap), "forgetting")
    x, y = own[overlap].to_numpy(dtype=float), own["forgetting"].to_numpy(dtype=float)
    if len(x) < 3 or np.ptp(x) == 0:
        return
    grid = np.linspace(x.min(), x.max(), POINTS)
    for name, (colour, style) in LINES.items():
        value, low, high = regression.band(name, x, y, grid, seed)
        if np.isfinite(value).all():
            band(axes, grid, low, high, colour)
            axes.plot(grid, value, color=colour, linestyle=style, linewidth=1.4, zorder=2)


def handles(tasks: list[str], colours: dict[str, str], markers: dict[str, str]) -> list[Line2D]:
    """The fits, first tasks by colour, second ones by marker."""
    out = [
        Line2D([], [], color=colour, linestyle=style, label=f"{name} fit (95 % over pairs)")  # type: ignore[arg-type]
        for name, (colour, style) in LINES.items()
    ]
    out += [
        Line2D([], [], color=colours[task], linewidth=5, label=f"{spelled(task)} first") for task in tasks
    ]
    out += [
        Line2D(
            [],
            [],
            color=GREY,
            marker=markers[task],
            linestyle="none",
            markersize=6.5,
            label=f"then {spelled(task)}",
        )
        for task in tasks
    ]
    return out
