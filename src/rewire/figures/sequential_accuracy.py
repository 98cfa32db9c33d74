"""Accuracy over both stages: the first task while it is learned, then both while the second is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.errors import InputError
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import band, legend, no_data, reference_line
from rewire.figures.sequential_runs import PLACE, main_variants, spelled, tasks_of
from rewire.figures.style import BLUE, GREY, ORANGE, blank, save, themed

ACCURACIES = ("accuracy", "circuit_accuracy")
COLUMNS = (*PLACE, *(name + end for name in ACCURACIES for end in ("", "_low", "_high")))
STYLES = ("solid", (0, (5, 2)), (0, (2, 1.5)))  # of the main variants
ROLES = {"first": BLUE, "second": ORANGE}


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of checkpoints. Errors: InputError that names the table if it lacks a column or has no single run."""
    rows = read_frame(table, COLUMNS)
    if not (rows["kind"] == "single").any():
        raise InputError(f"{table}: no single run, nothing to draw")
    save(figure(rows, name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a run, task and step; a panel a pair of tasks, the first in rows, the second in columns.

    Tasks that are in no pair have no panel, unless there are no pairs.
    """
    paired = table[table["kind"] == "sequential"]
    tasks, variants = tasks_of(paired if len(paired) else table), main_variants(table)
    n = len(tasks)
    out = blank(2.3 * n + 3.2, 1.75 * n + 1.3, f"Accuracy while one task is learned after another: {name}")
    panels = out.subplots(n, n, squeeze=False, sharex=True, sharey=True)
    styles = dict(zip(variants, STYLES, strict=False))
    for first, row in zip(tasks, panels, strict=True):
        for second, axes in zip(tasks, row, strict=True):
            start = stage_one(axes, table, first)
            if first != second:
                stage_two(axes, table, (first, second), styles, start)
            axes.set_ylim(-0.04, 1.04)
            if not axes.lines:
                no_data(axes, shared=True)
        row[0].set_ylabel(f"{spelled(first)} first\naccuracy (0..1)")
    for second, axes, last in zip(tasks, panels[0], panels[-1], strict=True):
        axes.set_title(f"then {spelled(second)}")
        last.set_xlabel("training step")
    legend(out, handles(styles, table))
    return out


def stage_one(axes: Axes, table: pd.DataFrame, task: str) -> float:
    """The task's single run; returns its last step."""
    rows = table[(table["kind"] == "single") & (table["first"] == task)]
    curves(axes, rows, 0.0, "first", STYLES[0])
    return float(rows["step"].max()) if len(rows) else 0.0


def stage_two(
    axes: Axes, table: pd.DataFrame, pair: tuple[str, str], styles: Mapping[str, Any], start: float
) -> None:
    """Both tasks of ``pair`` by every main variant, from step ``start`` on."""
    own = table[(table["kind"] == "sequential") & (table["first"] == pair[0]) & (table["second"] == pair[1])]
    for variant, style in styles.items():
        rows = own[own["variant"] == variant]
        for role, task in zip(ROLES, pair, strict=True):
            curves(axes, rows[rows["task"] == task], start, role, style)
    if len(own):
        reference_line(axes, start, vertical=True)


def curves(axes: Axes, rows: pd.DataFrame, start: float, role: str, style: Any) -> None:
    """The model's accuracy with its interval, and the circuit's, faint."""
    for measure, width, alpha in (("circuit_accuracy", 1.0, 0.55), ("accuracy", 1.7, 1.0)):
        own = known(rows, measure).sort_values("step")
        if not len(own):
            continue
        x = start + own["step"]
        if measure == "accuracy":
            band(axes, x, own[f"{measure}_low"], own[f"{measure}_high"], ROLES[role])
        marker = "o" if measure == "accuracy" else "None"
        line = style if measure == "accuracy" else (0, (1, 1.2))
        axes.plot(
            x, own[measure], color=ROLES[role], linewidth=width, alpha=alpha, linestyle=line, marker=marker, markersize=3.2
        )  # fmt: skip


def handles(styles: Mapping[str, Any], table: pd.DataFrame) -> list[Line2D]:
    """Roles, variants where there are several, and the circuit."""
    out = [Line2D([], [], color=colour, marker="o", label=f"{role} task") for role, colour in ROLES.items()]
    if len(styles) > 1:
        out += [Line2D([], [], color=GREY, linestyle=style, label=name) for name, style in styles.items()]
    drawn = len(known(table, "circuit_accuracy")) > 0
    dotted = Line2D([], [], color=GREY, linestyle=(0, (1, 1.2)), linewidth=1.0, label="its circuit alone")
    return [*out, *([dotted] if drawn else [])]
