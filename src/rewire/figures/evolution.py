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
from rewire.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, blank, checkpoint_tick, save, themed

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
Range = tuple[pd.Series, pd.Series, pd.Series]
WIDTH = 0.72  # of the bars behind a checkpoint
OTHER = 0.3 * BAND  # opacity of the noise floor that change is not judged by


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path, named: bool = False) -> None:
    """Draw a table of changes; ``named``: the checkpoints have names and no training steps. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name, named), png, svg)


@themed
def figure(table: pd.DataFrame, name: str, named: bool = False) -> Figure:
    """``table``: a row a checkpoint, ``reference`` (``previous``, ``base``) and ``measure``, in training order."""
    out = blank(10.8, 8.6, f"What is left of the circuit: {name}")
    panels = out.subplots(len(ROWS), len(REFERENCES), squeeze=False)
    table = placed(table)
    for (title, label, measures), row in zip(ROWS, panels, strict=True):
        for (reference, text), axes in zip(REFERENCES.items(), row, strict=True):
            axes.set_title(f"{title}, against {text}")
            axes.set_ylabel(label)
            compare(axes, table[table["reference"] == reference], measures)
            step_axis(axes, table, named)
    drawn = [handle for row in panels for handle in row[0].get_legend_handles_labels()[0]]
    ranges = {
        "noise floor: the same model, other\nexamples (mean, 5–95 %), of the\nless stable of the two models": (
            GREY,
            BAND,
        ),
        "the other model's noise floor": (GREY, OTHER),
        "random circuits of the same\nsize (mean, 5–95 %)": (ORANGE, BAND),
    }
    patches = [
        Patch(color=colour, alpha=opacity, linewidth=0, label=text)
        for text, (colour, opacity) in ranges.items()
    ]
    legend(out, [*drawn, *patches])
    return out


def placed(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with ``place``: 0, 1, ... for its checkpoints in order."""
    place = {checkpoint: i for i, checkpoint in enumerate(dict.fromkeys(table["checkpoint"]))}
    return table.assign(place=table["checkpoint"].map(place))


def step_axis(axes: Axes, table: pd.DataFrame, named: bool = False) -> None:
    """Training steps, or the names, at the places of the checkpoints."""
    rows = table.drop_duplicates("checkpoint")
    axes.set_xlabel("checkpoint" if named else "training step (evenly spaced)")
    if axes.has_data():
        labels = (
            [checkpoint_tick(c) for c in rows["checkpoint"]] if named else [f"{s:,}" for s in rows["step"]]
        )
        axes.set_xticks(range(len(labels)), labels)
        axes.tick_params(axis="x", labelrotation=40 if len(labels) > 6 else 0)
        axes.set_xlim(-0.6, len(labels) - 0.4)


def compare(axes: Axes, rows: pd.DataFrame, measures: Mapping[str, tuple[str, str, str]]) -> None:
    """Each measure with its interval over its ranges, side by side where there are several."""
    share = WIDTH / len(measures)
    for i, (measure, (label, colour, marker)) in enumerate(measures.items()):
        own = known(rows[rows["measure"] == measure], "value")
        if not len(own):
            continue
        x = own["place"] + share * (i - (len(measures) - 1) / 2)
        used, other = floors(own)
        bars(axes, x, *other, GREY, share, OTHER)
        bars(axes, x, *used, GREY, share)
        bars(axes, x, own["random_low"], own["random_high"], own["random"], ORANGE, share)
        reach = np.abs(own[["low", "high"]].sub(own["value"], axis=0).to_numpy(dtype=float)).T
        axes.errorbar(x, own["value"], reach, color=colour, marker=marker, elinewidth=1.1, label=label)
    if not axes.lines:
        no_data(axes)
        return
    shown = known(rows[rows["measure"].isin(list(measures))], "value")[["value", "low"]]
    axes.set_ylim(min(0.0, shown.min(axis=None)) - 0.03, 1.03)


def floors(own: pd.DataFrame) -> tuple[Range, Range]:
    """Low, high and mean of the noise floor that change is judged by, that of the model whose circuits agree less, and
    of the other model's.

    All measures drawn fall with change.
    """
    later = own["floor"] < own["reference_floor"]
    names = ("floor_low", "floor_high", "floor")
    own, other = own[list(names)], own[[f"reference_{name}" for name in names]].set_axis(names, axis=1)
    both = own.where(later, other, axis=0), other.where(later, own, axis=0)
    used, rest = ((one["floor_low"], one["floor_high"], one["floor"]) for one in both)
    return used, rest


def bars(
    axes: Axes,
    x: pd.Series,
    low: pd.Series,
    high: pd.Series,
    mean: pd.Series,
    colour: str,
    width: float,
    opacity: float = BAND,
) -> None:
    """A range behind every checkpoint with a line at its mean; nothing where it is NaN."""
    axes.bar(x, high - low, width, bottom=low, color=colour, alpha=opacity, linewidth=0, zorder=1.2)
    ends = x - width / 2, x + width / 2
    axes.hlines(mean, *ends, color=colour, linewidth=1, alpha=min(1, opacity / BAND), zorder=1.4)
