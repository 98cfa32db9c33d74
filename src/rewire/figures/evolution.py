"""How far the circuit of each checkpoint is from the previous one's and the base's, beside noise floor and chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import BAND, legend, no_data
from rewire.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, blank, save, themed

RANGES = ("floor", "reference_floor", "random")
COLUMNS = (
    "checkpoint",
    "step",
    "reference",
    "measure",
    "value",
    "low",
    "high",
    *(f"{name}{bound}" for name in RANGES for bound in ("", "_low", "_high")),
)
REFERENCES = {"previous": "the previous checkpoint", "base": "the base model"}
# rows of panels: title, y label, and measure -> label, colour, marker
ROWS: tuple[tuple[str, str, Mapping[str, tuple[str, str, str]]], ...] = (
    ("Edges", "Jaccard, shared / either (0..1)", {"edge_jaccard": ("edges", BLUE, "o")}),
    ("Nodes", "Jaccard, shared / either (0..1)", {"node_jaccard": ("nodes", PURPLE, "s")}),
    (
        "Scores of all edges",
        "agreement (1: same)",
        {
            "weighted_jaccard": ("weighted Jaccard of |scores|", GREEN, "D"),
            "spearman": ("Spearman of scores", GREY, "^"),
        },
    ),
)
WIDTH = 0.72  # of the bars behind a checkpoint


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of changes. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a checkpoint, ``reference`` (``previous``, ``base``) and ``measure``, in training order."""
    out = blank(10.8, 8.6, f"What is left of the circuit: {name}")
    panels = out.subplots(len(ROWS), len(REFERENCES), squeeze=False)
    table = placed(table)
    for (title, label, measures), row in zip(ROWS, panels, strict=True):
        for (reference, text), axes in zip(REFERENCES.items(), row, strict=True):
            axes.set_title(f"{title}, against {text}")
            axes.set_ylabel(label)
            compare(axes, table[table["reference"] == reference], measures)
            step_axis(axes, table)
    drawn = [handle for row in panels for handle in row[0].get_legend_handles_labels()[0]]
    ranges = {
        "noise floor: the same model,\nother examples (mean, 5–95 %)": GREY,
        "random circuits of the same\nsize (mean, 5–95 %)": ORANGE,
    }
    patches = [Patch(color=colour, alpha=BAND, linewidth=0, label=text) for text, colour in ranges.items()]
    legend(out, [*drawn, *patches])
    return out


def placed(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with ``place``: 0, 1, ... for its checkpoints in order."""
    place = {checkpoint: i for i, checkpoint in enumerate(dict.fromkeys(table["checkpoint"]))}
    return table.assign(place=table["checkpoint"].map(place))


def step_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Training steps at the places of their checkpoints."""
    steps = table.drop_duplicates("checkpoint")["step"].tolist()
    axes.set_xlabel("training step (evenly spaced)")
    if axes.has_data():
        axes.set_xticks(range(len(steps)), [f"{step:,}" for step in steps])
        axes.tick_params(axis="x", labelrotation=40 if len(steps) > 6 else 0)
        axes.set_xlim(-0.6, len(steps) - 0.4)


def compare(axes: Axes, rows: pd.DataFrame, measures: Mapping[str, tuple[str, str, str]]) -> None:
    """Each measure with its interval over its ranges, side by side where there are several."""
    share = WIDTH / len(measures)
    for i, (measure, (label, colour, marker)) in enumerate(measures.items()):
        own = known(rows[rows["measure"] == measure], "value")
        if not len(own):
            continue
        x = own["place"] + share * (i - (len(measures) - 1) / 2)
        both = ("floor", "reference_floor")
        low, high = (own[[f"{name}_{bound}" for name in both]] for bound in ("low", "high"))
        bars(axes, x, low.min(axis=1), high.max(axis=1), own[list(both)].mean(axis=1), GREY, share)
        bars(axes, x, own["random_low"], own["random_high"], own["random"], ORANGE, share)
        reach = np.abs(own[["low", "high"]].sub(own["value"], axis=0).to_numpy(dtype=float)).T
        axes.errorbar(x, own["value"], reach, color=colour, marker=marker, elinewidth=1.1, label=label)
    if not axes.lines:
        no_data(axes)
        return
    shown = known(rows[rows["measure"].isin(list(measures))], "value")[["value", "low"]]
    axes.set_ylim(min(0.0, shown.min(axis=None)) - 0.03, 1.03)


def bars(
    axes: Axes, x: pd.Series, low: pd.Series, high: pd.Series, mean: pd.Series, colour: str, width: float
) -> None:
    """A range behind every checkpoint with a line at its mean; nothing where it is NaN."""
    axes.bar(x, high - low, width, bottom=low, color=colour, alpha=BAND, linewidth=0, zorder=1.2)
    axes.hlines(mean, x - width / 2, x + width / 2, color=colour, linewidth=1, zorder=1.4)
