"""What panels share: zero lines, intervals, legends beside the data, a word where there is no data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rewire.figures.style import FAINT, GREY, INK, checkpoint_label

BAND = 0.22  # opacity of an interval around a curve
# for seaborn.heatmap where ticks are set afterwards: to see whether its own fit it draws the whole figure, panel by panel
OWN_TICKS = {"xticklabels": False, "yticklabels": False}


def no_data(axes: Axes, text: str = "no data", shared: bool = False) -> None:
    """Say in the middle of the panel that nothing was measured; ``shared``: its axes are other panels' too and stay."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=10)
    if not shared:
        axes.set_xticks([])
        axes.set_yticks([])


def note(axes: Axes, text: str) -> None:
    """A remark in brackets under the label of the x axis, outside the data."""
    axes.set_xlabel(f"{axes.get_xlabel()}\n({text})")


def reference_line(axes: Axes, value: float = 0.0, vertical: bool = False) -> None:
    draw = axes.axvline if vertical else axes.axhline
    draw(value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)


def band(axes: Axes, x: Any, low: Any, high: Any, colour: str) -> None:
    """An interval around a curve; where it is NaN there is none."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        axes.fill_between(
            np.asarray(x), low, high, where=known, color=colour, alpha=BAND, linewidth=0, zorder=1.8
        )


def bars(axes: Axes, rows: Any, y: Any, colour: str) -> None:
    """Points with horizontal intervals; a NaN interval leaves the point alone, a NaN value leaves nothing.

    ``rows``: three columns, value, low and high.
    """
    value, low, high = np.asarray(rows, dtype=float).T
    y = np.asarray(y, dtype=float)
    known = np.isfinite(low) & np.isfinite(high)
    axes.hlines(y[known], low[known], high[known], color=colour, linewidth=1.5, zorder=3)
    for end in (low, high):
        axes.plot(
            end[known],
            y[known],
            linestyle="none",
            marker="|",
            markersize=6,
            markeredgecolor=colour,
            markeredgewidth=1.2,
            zorder=3,
        )
    axes.plot(value, y, linestyle="none", marker="o", color=colour, markersize=5, zorder=4, label="mean")


def whole_numbers(axes: Axes) -> None:
    """At most seven whole ticks on the x axis."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def checkpoint_handles(
    colours: Mapping[str, str], names: Iterable[str], steps: Mapping[str, int] | None = None
) -> list[Line2D]:
    """A legend entry a checkpoint, with its training step where ``steps`` has it."""
    steps = steps or {}
    return [
        Line2D([], [], color=colours[c], marker="o", label=checkpoint_label(c, steps.get(c))) for c in names
    ]


def legend(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """A legend to the right of the panels, where it covers nothing."""
    box = figure.legend(handles=list(handles), title=title, loc="outside right upper", alignment="left")
    box.get_title().set_fontweight("bold")


def rule(axes: Axes, y: float) -> None:
    """A thin line that parts two groups of rows."""
    axes.axhline(y, color=FAINT, linewidth=0.9, zorder=1)
