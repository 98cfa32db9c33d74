"""The circuits that LoRA ends in: how far they agree with each other, with the base's and with full fine-tuning's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.figures.frames import known, read_frame
from rewire.figures.overlap import heatmap
from rewire.figures.panels import BAND, bars, legend, no_data
from rewire.figures.strips import group_axis
from rewire.figures.style import BLUE, GREY, ORANGE, PURPLE, blank, checkpoint_label, save, themed

RANGES = [f"{name}{end}" for name in ("floor", "reference_floor", "random") for end in ("", "_low", "_high")]
COLUMNS = ("model", "reference", "measure", "value", "low", "high", "examples", *RANGES)
KINDS = {"edge_jaccard": ("edges", BLUE), "node_jaccard": ("nodes", PURPLE)}
CELL = 0.6  # inches


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of adapted models' circuits. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a pair of models and measure; the first two models are the base and the last checkpoint."""
    models = list(dict.fromkeys([*table["reference"], *table["model"]]))
    strategies = models[2:]
    side = 1.2 + CELL * len(models)
    height = max(side, 1.2 + 0.5 * len(strategies)) + 0.9
    out = blank(side + 10.2, height, f"Circuits that LoRA ends in: {name}")
    left, *others = out.subplots(1, 3, width_ratios=[side, 3.6, 3.6])
    between(left, table, models)
    for axes, reference in zip(others, reversed(models[:2]), strict=True):
        against(axes, table, reference, strategies)
        axes.set_title(f"Against {checkpoint_label(reference)}")
    others[1].set_yticklabels([])
    legend(out, handles(), f"bars: 95 % CI,\n{int(table['examples'].max()):,} examples")
    return out


def handles() -> list[Line2D | Patch]:
    points = [Line2D([], [], color=colour, marker="o", label=text) for text, colour in KINDS.values()]
    ranges = {
        "noise floor: one model,\nother examples (5–95 %)": GREY,
        "random circuits of the\nsame size (5–95 %)": ORANGE,
    }
    return [*points, *(Patch(color=c, alpha=BAND, linewidth=0, label=text) for text, c in ranges.items())]


def between(axes: Axes, table: pd.DataFrame, models: list[str]) -> None:
    """Edge Jaccard of every two models; on the diagonal a model and itself with other examples."""
    rows = known(table[table["measure"] == "edge_jaccard"], "value")
    axes.set_title("Edge Jaccard (diagonal: a model and itself,\nother examples)")
    place = {model: i for i, model in enumerate(models)}
    values = np.full((len(models), len(models)), np.nan)
    for row in rows.itertuples():
        i, j = place[row.model], place[row.reference]
        values[i, j] = values[j, i] = row.value
        for k, floor in ((i, row.floor), (j, row.reference_floor)):
            values[k, k] = floor if np.isfinite(floor) else values[k, k]
    heatmap(axes, values, [checkpoint_label(model) for model in models])
    axes.set_yticks(range(len(models)), [checkpoint_label(model) for model in models])


def against(axes: Axes, table: pd.DataFrame, reference: str, strategies: list[str]) -> None:
    """Edge and node Jaccard of each strategy's circuit and the reference's, over noise floor and chance."""
    axes.set_xlabel("Jaccard, shared / either (0..1)")
    own = known(table[table["reference"] == reference], "value")
    own = own[own["model"].isin(strategies)]
    if not len(own):
        no_data(axes)
        return
    for k, (measure, (_, colour)) in enumerate(KINDS.items()):
        rows = own[own["measure"] == measure]
        y = np.array([strategies.index(model) + 0.4 * (k - 0.5) for model in rows["model"]])
        floors = [rows[[f"{name}_{end}" for name in ("floor", "reference_floor")]] for end in ("low", "high")]
        behind(axes, y, floors[0].min(axis=1), floors[1].max(axis=1), GREY)
        behind(axes, y, rows["random_low"], rows["random_high"], ORANGE)
        bars(axes, rows[["value", "low", "high"]], y, colour)
    group_axis(axes, strategies)
    axes.set_xlim(-0.03, 1.03)


def behind(axes: Axes, y: np.ndarray, low: pd.Series, high: pd.Series, colour: str) -> None:
    """A range behind each point; nothing where it is NaN."""
    axes.barh(y, high - low, 0.3, left=low, color=colour, alpha=BAND, linewidth=0, zorder=1.2)
