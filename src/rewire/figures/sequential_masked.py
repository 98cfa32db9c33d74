"""Training inside the first task's circuit, outside it or at random places: what is forgotten, and what is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from rewire.errors import InputError
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import bars, legend, no_data, reference_line
from rewire.figures.sequential_runs import arrow
from rewire.figures.style import GREY, INK, blank, save, themed

ENDS = ("", "_low", "_high")
INTERVALS = {  # column of pairs -> title, label of the axis
    "forgetting": ("Forgetting of the first task", "share of its accuracy lost"),
    "second_accuracy_after": ("The second task at the end", "accuracy, share of test prompts"),
}
COLUMNS = (
    "variant",
    "first",
    "second",
    "second_threshold",
    "parameters",
    *(name + end for name in INTERVALS for end in ENDS),
)
ROW = 0.21  # inches a variant


def draw(
    table: str | Path,
    sides: Sequence[str],
    others: Sequence[str],
    name: str,
    png: str | Path,
    svg: str | Path,
) -> None:
    """Draw a table of pairs; arguments: as ``figure``.

    Errors: InputError that names the table: empty, without a column or without a pair of ``sides``.
    """
    pairs = read_frame(table, COLUMNS)
    if not pairs["variant"].isin(list(sides)).any():
        raise InputError(f"{table}: no pair of {', '.join(sides)}")
    save(figure(pairs, sides, others, name), png, svg)


@themed
def figure(table: pd.DataFrame, sides: Sequence[str], others: Sequence[str], name: str) -> Figure:
    """``table``: a row a pair and variant. A row of panels a pair that one of ``sides`` is run on, a line a variant.

    ``sides``: variants that train a side of the circuit alone; ``others``: shown beside them.
    """
    groups, variants = compared(table, sides), [*others, *sides]
    place = {variant: i for i, variant in enumerate(variants)}
    colours = dict(zip(variants, sns.color_palette("colorblind", len(variants)).as_hex(), strict=True))
    out = blank(
        9.6, (ROW * len(variants) + 0.35) * len(groups) + 1.1, f"Which parameters are trained: {name}"
    )
    panels = out.subplots(len(groups), len(INTERVALS) + 1, squeeze=False, sharex="col")
    for (pair, rows), line in zip(groups.items(), panels, strict=True):
        for column, axes in zip(INTERVALS, line, strict=False):
            intervals(axes, rows, column, place, colours)
        thresholds(line[1], rows, place)
        trained(line[-1], rows, place, colours)
        for axes in line:
            axes.set_yticks(range(len(variants)), variants if axes is line[0] else [""] * len(variants))
            axes.set_ylim(len(variants) - 0.4, -0.6)
        line[0].set_ylabel(arrow(*pair))
    for top, bottom, (title, label) in zip(panels[0], panels[-1], titles(), strict=True):
        top.set_title(title)
        bottom.set_xlabel(label)
    legend(out, handles(colours))
    return out


def titles() -> list[tuple[str, str]]:
    """Title and label of each column of panels."""
    return [*INTERVALS.values(), ("Trained parameters", "number")]


def compared(table: pd.DataFrame, sides: Sequence[str]) -> dict[Any, pd.DataFrame]:
    """The rows of each pair of tasks that one of ``sides`` is run on, in the order of the table."""
    pairs = table.groupby(["first", "second"], sort=False)
    return {pair: rows for pair, rows in pairs if rows["variant"].isin(list(sides)).any()}


def shown(rows: pd.DataFrame, place: Mapping[str, int]) -> pd.DataFrame:
    """Those of the variants that have a line."""
    return rows[rows["variant"].isin(list(place))]


def intervals(
    axes: Axes, rows: pd.DataFrame, column: str, place: Mapping[str, int], colours: Mapping[str, str]
) -> None:
    """A point with its interval a variant; none where there is no value."""
    for _, row in shown(known(rows, column), place).iterrows():
        measured = [[row[column + end] for end in ENDS]]
        bars(axes, measured, [place[row["variant"]]], colours[row["variant"]])
    if not axes.has_data():
        no_data(axes, "first task not learned", shared=True)
    elif column == "forgetting":
        reference_line(axes, vertical=True)


def thresholds(axes: Axes, rows: pd.DataFrame, place: Mapping[str, int]) -> None:
    """The accuracy from which on the second task counts as learned."""
    for value in np.unique(shown(rows, place)["second_threshold"]):
        axes.plot([value] * 2, [-0.5, len(place) - 0.5], color=GREY, linestyle=":", linewidth=1.2)


def trained(axes: Axes, rows: pd.DataFrame, place: Mapping[str, int], colours: Mapping[str, str]) -> None:
    """A bar a variant from 0, with the number beside it."""
    for _, row in shown(known(rows, "parameters"), place).iterrows():
        y, number = place[row["variant"]], int(row["parameters"])
        axes.barh(y, number, height=0.55, color=colours[row["variant"]])
        axes.annotate(
            f"{number:,}", (number, y), (3, 0), textcoords="offset points", va="center", fontsize=7.5
        )
    axes.margins(x=0.3)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.locator_params(axis="x", nbins=3)


def handles(colours: Mapping[str, str]) -> list[Line2D]:
    """The variants, what the bars are, and the threshold."""
    out = [Line2D([], [], color=colour, marker="o", label=variant) for variant, colour in colours.items()]
    out.append(Line2D([], [], color=INK, marker="|", label="95 % over test prompts"))
    return [*out, Line2D([], [], color=GREY, linestyle=":", label="learned from here on\n(on validation)")]
