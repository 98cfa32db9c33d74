"""Do edges change more than nodes: each checkpoint between noise floor and replaced nodes, and the test's statistic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import legend, no_data, reference_line
from rewire.figures.style import (
    GREY,
    INK,
    blank,
    checkpoint_colours,
    checkpoint_label,
    save,
    themed,
)

COLUMNS = (
    "checkpoint",
    "step",
    "reference",
    "edge_change",
    "node_change",
    "edge_floor",
    "node_floor",
    "edge_replaced",
    "node_replaced",
    "statistic",
    "low",
    "high",
    "p",
    "alpha",
    "verdict",
    *(
        f"{prefix}{share}{column}"
        for prefix in ("", "reference_")
        for share in ("false_positives", "power")
        for column in ("", "_pairs")
    ),
)
MARKERS = {"supported": "o", "not supported": "X", "inconclusive": "D"}
REFERENCES = {"base": "against the base", "previous": "against the previous checkpoint"}


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path, named: bool = False) -> None:
    """Draw the table of the hypothesis; ``named`` as in the evolution figure. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name, named), png, svg)


@themed
def figure(table: pd.DataFrame, name: str, named: bool = False) -> Figure:
    """``table``: a row a checkpoint and ``reference`` (``previous``, ``base``), in training order."""
    rows = table.groupby("reference").size().max()
    out = blank(11.6, max(4.6, 1.8 + 0.62 * rows), f"Do edges change more than nodes? {name}")
    plane, tested = out.subplots(1, 2, width_ratios=[1, 1.05])
    names = list(dict.fromkeys(table["checkpoint"]))
    colours = checkpoint_colours(names)
    against_nodes(plane, table[table["reference"] == "base"], colours)
    steps = {} if named else table.drop_duplicates("checkpoint").set_index("checkpoint")["step"].to_dict()
    statistics(tested, table, colours, named)
    checkpoints = [
        Line2D(
            [], [], color=colours[c], marker="o", linestyle="none", label=checkpoint_label(c, steps.get(c))
        )
        for c in names
    ]
    marks = {"+": "noise floor: same model,\nother examples", "s": "heads of each layer\nreplaced"}
    levels = [
        Line2D([], [], color=GREY, marker=marker, markeredgecolor=GREY, linestyle="none", label=label)
        for marker, label in marks.items()
    ]
    levels.append(Line2D([], [], color=GREY, linewidth=0.8, label="node change that edge\nchange implies"))
    levels.append(Line2D([], [], color=GREY, linewidth=1.5, label="left: statistic,\nright: its interval"))
    verdicts = [
        Line2D([], [], color=INK, marker=marker, linestyle="none", label=verdict)
        for verdict, marker in MARKERS.items()
    ]
    legend(out, [*checkpoints, *verdicts, *levels])
    out.supxlabel(footnote(table), fontsize=8.5)
    return out


def against_nodes(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """Node change against edge change, with the line of what replaced nodes would have brought."""
    axes.set_title("Change from the base")
    axes.set_xlabel("edge change, 1 − Jaccard (0..1)")
    axes.set_ylabel("node change, 1 − Jaccard (0..1)")
    if not len(rows):
        no_data(axes)
        return
    for row in rows.itertuples():
        colour = colours[row.checkpoint]
        if np.isfinite(row.edge_floor) and row.edge_replaced > 0:
            # node change that each edge change implies, through the noise floor: the statistic is the drop below it
            slope = row.node_replaced / row.edge_replaced
            ends = np.array([row.edge_floor, max(row.edge_replaced, row.edge_change)])
            axes.plot(
                ends, row.node_floor + slope * (ends - row.edge_floor), color=colour, linewidth=0.8, alpha=0.7
            )
            implied = row.node_floor + slope * (row.edge_change - row.edge_floor)
            axes.vlines(row.edge_change, row.node_change, implied, color=colour, linewidth=1.4)
        axes.plot(
            row.edge_floor, row.node_floor, marker="+", markersize=8, color=colour, markeredgecolor=colour
        )
        axes.plot(row.edge_replaced, row.node_replaced, marker="s", color=colour, alpha=0.7)
        axes.plot(row.edge_change, row.node_change, marker=MARKERS[row.verdict], markersize=7.5, color=colour)


def statistics(axes: Axes, table: pd.DataFrame, colours: dict[str, str], named: bool = False) -> None:
    """The statistic of every comparison with its interval, p and verdict."""
    axes.set_title("Node change: implied by the edge change − observed")
    axes.set_xlabel("less the same of the noise floor (> 0: edges changed more)")
    measured = known(table, "statistic")
    if not len(measured):
        no_data(axes, "too few examples for a test")
        return
    y, ticks, labels = 0.0, [], []
    for reference, text in REFERENCES.items():
        own = measured[measured["reference"] == reference]
        axes.text(0, y, text, transform=axes.get_yaxis_transform(), fontsize=8.5, color=GREY, va="center")
        for row in own.itertuples():
            y -= 1
            colour = colours[row.checkpoint]
            axes.hlines(y, row.low, row.high, color=colour, linewidth=1.5)
            axes.plot(row.statistic, y, marker=MARKERS[row.verdict], markersize=6.5, color=colour)
            ticks.append(y)
            power = percent(row.power, row.reference_power)
            own_name = checkpoint_label(row.checkpoint) if named else f"step {row.step:,}"
            labels.append(f"{own_name}: p = {row.p:.3f}" + (f"\npower {power}" if power else ""))
        y -= 1.2
    reference_line(axes, vertical=True)
    axes.set_yticks(ticks, labels, fontsize=7.5)
    axes.set_ylim(y + 0.6, 0.6)
    axes.grid(False, axis="y")


def footnote(table: pd.DataFrame) -> str:
    """What the intervals are, and what the test does where the answer is known, least and most over the models."""
    text = f"intervals: {100 * (1 - table['alpha'].iloc[0]):g} %"
    for share, claim in (
        ("false_positives", "pairs of a model and itself the test rejects"),
        ("power", "pairs rewired on purpose it finds"),
    ):
        found = percent(*table[share], *table[f"reference_{share}"])
        if found:
            text += f"; of {table[f'{share}_pairs'].max():,} {claim} {found}, by model"
    return text


def percent(*shares: float) -> str:
    """The smallest and the largest of the known ``shares``: ``45–70 %``, ``45 %`` if they are one, nothing for none."""
    percents = [round(100 * share) for share in shares if np.isfinite(share)]
    ends = sorted({min(percents), max(percents)}) if percents else []
    return f"{'–'.join(map(str, ends))} %" if ends else ""
