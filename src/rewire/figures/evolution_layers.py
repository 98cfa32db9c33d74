"""Edges born and lost: how many, between which layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter

from rewire.figures.evolution import REFERENCES, placed, step_axis
from rewire.figures.frames import read_frame
from rewire.figures.panels import legend, no_data
from rewire.figures.style import GREEN, INK, ORANGE, SEQUENTIAL, blank, save, themed

CIRCUITS = ("checkpoint", "step", "reference", "edges_born", "edges_lost")
LAYERS = (*CIRCUITS, "end", "layer", "edges_before")
ENDS = {"source": "Where they start (+born −lost)", "destination": "Where they arrive (+born −lost)"}
LEGIBLE = 160  # cells of a panel: with more they hold no numbers


def draw(
    circuits: str | Path,
    layers: str | Path,
    name: str,
    png: str | Path,
    svg: str | Path,
    named: bool = False,
) -> None:
    """Draw the tables of circuits and of layers; ``named``: the checkpoints have names and no training steps.

    Errors: InputError that names the one that is empty or lacks a column.
    """
    save(figure(read_frame(circuits, CIRCUITS), read_frame(layers, LAYERS), name, named), png, svg)


@themed
def figure(circuits: pd.DataFrame, layers: pd.DataFrame, name: str, named: bool = False) -> Figure:
    """``circuits``: a row a checkpoint and reference; ``layers``: a row for each of these, end and layer."""
    rows = layers["layer"].nunique()
    out = blank(12.6, max(6.0, 2.2 + 0.56 * rows), f"Edges born and lost: {name}")
    panels = out.subplots(len(REFERENCES), 1 + len(ENDS), squeeze=False)
    circuits, layers = placed(circuits), placed(layers)
    image = None
    for (reference, text), (totals, *maps) in zip(REFERENCES.items(), panels, strict=True):
        born_and_lost(totals, circuits[circuits["reference"] == reference])
        totals.set_title(f"Against {text}")
        step_axis(totals, circuits, named)
        for (end, where), axes in zip(ENDS.items(), maps, strict=True):
            chosen = layers[(layers["reference"] == reference) & (layers["end"] == end)]
            image = heatmap(axes, chosen) or image
            axes.set_title(where)
            step_axis(axes, layers, named)
    legend(out, panels[0][0].get_legend_handles_labels()[0])
    if image is not None:
        bar = out.colorbar(image, ax=panels[:, 1:], shrink=0.7, aspect=30)
        bar.set_label("born or lost / edges in either circuit (0..1)")
        bar.outline.set_visible(False)
    return out


def born_and_lost(axes: Axes, rows: pd.DataFrame) -> None:
    """Edges born upwards, edges lost downwards."""
    axes.set_ylabel("edges")
    if not len(rows):
        no_data(axes)
        return
    axes.bar(rows["place"], rows["edges_born"], color=GREEN, width=0.7, label="edges born")
    axes.bar(rows["place"], -rows["edges_lost"], color=ORANGE, width=0.7, label="edges lost")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    axes.grid(False, axis="x")


def heatmap(axes: Axes, rows: pd.DataFrame) -> AxesImage | None:
    """Share of a layer's edges that changed, a row a layer from the bottom up, a column a checkpoint."""
    if not len(rows):
        no_data(axes)
        return None
    table = rows.pivot(index="layer", columns="place")
    changed = table["edges_born"] + table["edges_lost"]
    either = table["edges_before"] + table["edges_born"]
    share = (changed / either.where(either > 0)).to_numpy(dtype=float)
    image = axes.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto", origin="lower")
    names = {-1: "input"} | ({table.index[-1]: "logits"} if rows["end"].iloc[0] == "destination" else {})
    axes.set_yticks(range(len(table)), [names.get(layer, f"{layer}") for layer in table.index])
    axes.set_ylabel("layer")
    axes.grid(False)
    for i, j in np.ndindex(*share.shape) if share.size <= LEGIBLE else ():
        if changed.iloc[i, j]:
            text = f"+{table['edges_born'].iloc[i, j]} −{table['edges_lost'].iloc[i, j]}"
            colour = "white" if share[i, j] > 0.6 else INK
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
    return image
