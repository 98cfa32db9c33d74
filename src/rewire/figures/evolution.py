"""How the circuit changes while the model learns: overlap of edges and nodes, edges born and lost."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import legend, no_data
from rewire.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, blank, save, themed

COLUMNS = (
    "checkpoint",
    "step",
    "reference",
    "edges",
    "edge_jaccard",
    "node_jaccard",
    "edges_born",
    "edges_lost",
)


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw an evolution table. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a checkpoint and ``reference`` (``previous``, ``base``), in training order."""
    out = blank(10.8, 3.6, f"Evolution of the circuit: {name}")
    previous, base, turnover = out.subplots(1, 3)
    steps = table.drop_duplicates("checkpoint")["step"].tolist()
    place = {checkpoint: i for i, checkpoint in enumerate(dict.fromkeys(table["checkpoint"]))}
    table = table.assign(place=table["checkpoint"].map(place))
    before = table[table["reference"] == "previous"]
    overlap(previous, before, "Overlap with the previous checkpoint")
    overlap(base, table[table["reference"] == "base"], "Overlap with the base model")
    born_and_lost(turnover, before)
    for axes in (previous, base, turnover):
        axes.set_xlabel("training step (evenly spaced)")
        if axes.has_data():
            axes.set_xticks(range(len(steps)), [f"{step:,}" for step in steps])
            axes.tick_params(axis="x", labelrotation=40 if len(steps) > 6 else 0)
            axes.set_xlim(-0.6, len(steps) - 0.4)
    handles = [handle for axes in (base, turnover) for handle in axes.get_legend_handles_labels()[0]]
    legend(out, handles)
    return out


def overlap(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    axes.set_title(title)
    axes.set_ylabel("Jaccard, shared / either (0..1)")
    styles = {"node_jaccard": ("nodes", PURPLE, "s"), "edge_jaccard": ("edges", BLUE, "o")}
    for column, (label, colour, marker) in styles.items():
        measured = known(rows, column)
        if len(measured):
            axes.plot(measured["place"], measured[column], color=colour, marker=marker, label=label)
    if not axes.lines:
        no_data(axes)
        return
    axes.set_ylim(-0.03, 1.03)


def born_and_lost(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_title("Turnover since the previous checkpoint")
    axes.set_ylabel("edges")
    if not len(rows):
        no_data(axes)
        return
    axes.bar(rows["place"], rows["edges_born"], color=GREEN, width=0.7, label="edges born")
    axes.bar(rows["place"], -rows["edges_lost"], color=ORANGE, width=0.7, label="edges lost")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    axes.grid(False, axis="x")
