"""Necessity, completeness and minimality of the circuits of a few checkpoints, each beside its null."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.errors import InputError
from rewire.figures.curves import SIGNIFICANT
from rewire.figures.frames import known, read_frame
from rewire.figures.noise_floor import spread
from rewire.figures.panels import BAND, bars, legend, no_data, note, reference_line, whole_numbers
from rewire.figures.strips import group_axis, strip
from rewire.figures.style import BLUE, GREY, ORANGE, blank, checkpoint_label, save, themed
from rewire.statistics import MINIMUM

COLUMNS = ("criterion", "circuit", "draw", "value", "low", "high", "q", "edges", "examples")


def draw(tables: Mapping[str, str | Path], name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the tables of criteria of some checkpoints (name -> path).

    Errors: InputError that names the table if one is empty or lacks a column, or if there is no checkpoint.
    """
    if not tables:
        raise InputError("the criteria figure needs the table of at least one checkpoint")
    save(figure({c: read_frame(path, COLUMNS) for c, path in tables.items()}, name), png, svg)


@themed
def figure(tables: Mapping[str, pd.DataFrame], name: str) -> Figure:
    """``tables``: a row a criterion, circuit (or random one) and set of nodes or edge removed."""
    out = blank(12.2, 6.4, f"Necessity, completeness and minimality of the circuit: {name}")
    grid = out.add_gridspec(2, 1, height_ratios=(1, 1.25))
    top = grid[0].subgridspec(1, 2)
    necessity(out.add_subplot(top[0]), tables)
    completeness(out.add_subplot(top[1]), tables)
    minimality(out, grid[1], tables)
    null = Line2D(
        [],
        [],
        color=ORANGE,
        marker="o",
        linewidth=1.5,
        label="random circuits:\nmean, 5–95 %\n(a single one: a point)",
    )
    handles: list[Any] = [
        Line2D([], [], color=BLUE, marker="o", linewidth=1.5, label="circuit, 95 % CI"),
        null,
        Line2D([], [], color=BLUE, marker="o", linestyle="none", label=f"edge, q < {SIGNIFICANT:g}"),
        Line2D([], [], color=GREY, marker="o", linestyle="none", label=f"edge, q ≥ {SIGNIFICANT:g}"),
        Patch(color=ORANGE, alpha=BAND, linewidth=0, label="edges of random\ncircuits, 5–95 %"),
    ]
    examples = max(int(table["examples"].max()) for table in tables.values())
    legend(out, handles, f"{examples} held-out pairs")
    return out


def rows_of(table: pd.DataFrame, criterion: str, circuit: str) -> pd.DataFrame:
    return table[(table["criterion"] == criterion) & (table["circuit"] == circuit)]


def compared(axes: Axes, table: pd.DataFrame, criterion: str, y: float) -> None:
    """The circuit's value over those of the random circuits, in one group of the y axis."""
    null = known(rows_of(table, criterion, "random"), "value")
    strip(axes, null["value"], spread(null, "value"), y + 0.18, ORANGE)
    own = known(rows_of(table, criterion, "circuit"), "value")
    bars(axes, own[["value", "low", "high"]].to_numpy(), np.full(len(own), y - 0.18), BLUE)


def necessity(axes: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    axes.set_title("Necessity: what the model does without the circuit")
    axes.set_xlabel("f of the complement (1: whole model, 0: corrupted)")
    shown = {c: table for c, table in tables.items() if settled(table)}
    for place, table in enumerate(shown.values()):
        compared(axes, table, "necessity", place)
    if not shown:
        no_data(axes)
    else:
        group_axis(axes, [checkpoint_label(c) for c in shown])
        reference_line(axes, 0, vertical=True)
    left_out = [checkpoint_label(c) for c in tables if c not in shown]
    if left_out:
        note(axes, f"not {', '.join(left_out)}: corruption may not change the NLL")


def settled(table: pd.DataFrame) -> bool:
    """Whether f means something: it has an interval, or too few examples for any."""
    own = rows_of(table, "necessity", "circuit")
    return bool(own["low"].notna().any()) or int(table["examples"].max()) < MINIMUM


def completeness(axes: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    axes.set_title("Completeness: model and circuit without the same nodes")
    axes.set_xlabel("|NLL of the model − NLL of the circuit| (nats a token)")
    kinds = {"random": "random nodes", "greedy": "worst nodes found"}
    labels: list[str] = []
    for checkpoint, table in tables.items():
        for kind, text in kinds.items():
            compared(axes, table, f"completeness, {kind}", len(labels))
            labels.append(f"{checkpoint_label(checkpoint)},\n{text}")
    group_axis(axes, labels)
    reference_line(axes, 0, vertical=True)
    draws = {len(known(rows_of(t, "completeness, greedy", "random"), "value")) for t in tables.values()}
    if draws == {1}:
        note(axes, "null of the worst nodes: one random circuit")


def minimality(out: Figure, place: SubplotSpec, tables: Mapping[str, pd.DataFrame]) -> None:
    """A panel a checkpoint: every edge's effect, the largest first, over the band of random edges."""
    grid, shared = place.subgridspec(1, len(tables)), None
    for column, (checkpoint, table) in enumerate(tables.items()):
        axes = shared = out.add_subplot(grid[column], sharey=shared)
        axes.set_title(f"Minimality: dropping each edge alone, {checkpoint_label(checkpoint)}")
        axes.set_ylabel("NLL without − with the edge (nats a token)")
        axes.set_xlabel("edges dropped, the most useful first")
        edges(axes, table)


def edges(axes: Axes, table: pd.DataFrame) -> None:
    own = known(rows_of(table, "minimality", "circuit"), "value").sort_values("value", ascending=False)
    if not len(own):
        no_data(axes, "the circuit has no edge")
        return
    null = spread(rows_of(table, "minimality", "random"), "value")
    if np.isfinite(null.low):
        axes.axhspan(null.low, null.high, color=ORANGE, alpha=BAND, linewidth=0, zorder=1.8)
    reference_line(axes)
    x = np.arange(1, len(own) + 1)
    significant = (own["q"] < SIGNIFICANT).to_numpy()
    for chosen, colour in ((significant, BLUE), (~significant, GREY)):
        axes.vlines(x[chosen], own["low"][chosen], own["high"][chosen], color=colour, linewidth=1.2)
        axes.plot(x[chosen], own["value"][chosen], linestyle="none", marker="o", color=colour)
    whole_numbers(axes)
    useful = int((significant & (own["value"] > 0)).sum())
    note(axes, f"{tried(len(own), int(own['edges'].max()))}; {useful:,} help, q < {SIGNIFICANT:g}")


def tried(n: int, edges: int) -> str:
    """``30 of 45 edges, drawn at random``"""
    return f"all {n:,} edges" if n >= edges else f"{n:,} of {edges:,} edges, drawn at random"
