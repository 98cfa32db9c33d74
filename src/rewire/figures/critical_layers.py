"""Which layers and heads fine-tuning changed most: by the differential analysis and by the circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rewire.figures.curves import SIGNIFICANT
from rewire.figures.frames import known, read_frame
from rewire.figures.head_map import grid, heatmap, largest
from rewire.figures.panels import legend, no_data, reference_line
from rewire.figures.style import BLUE, ORANGE, SEQUENTIAL, blank, checkpoint_label, save, themed

COLUMNS = ("criterion", "layer", "head", "value", "q")
# criterion -> title and x label
PANELS = {
    "differential": ("Differential analysis", "sum of z-scores over layers"),
    "circuit": ("Circuit, by edge", "mean |change of an edge's score|"),
    "circuit_raw": ("Circuit, all edges", "sum of |change of an edge's score|"),
}


def draw(table: str | Path, checkpoint: str, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a criticality table of ``checkpoint`` against the base.

    Errors: InputError that names the table if it is empty or lacks a column.
    """
    save(figure(read_frame(table, COLUMNS), checkpoint, name), png, svg)


@themed
def figure(table: pd.DataFrame, checkpoint: str, name: str) -> Figure:
    """``table``: a row a criterion and layer, and of the circuit a row a head."""
    layers = table[table["head"].isna()]
    count = int(layers["layer"].max()) + 1
    height = max(3.0, 1.6 + 0.3 * count)
    out = blank(13.6, height, f"Critical layers, {checkpoint_label(checkpoint)} against base: {name}")
    *panels, heads = out.subplots(1, len(PANELS) + 1)
    for axes, criterion in zip(panels, PANELS, strict=True):
        ranked(axes, layers[layers["criterion"] == criterion], criterion)
    of_heads = table[(table["criterion"] == "circuit") & table["head"].notna()]
    values = grid(of_heads, "value", (count, int(of_heads["head"].max()) + 1 if len(of_heads) else 1))
    heatmap(heads, values, SEQUENTIAL, Normalize(0, largest(values)), PANELS["circuit"][1])
    heads.set_title("Circuit, by head and edge")
    marked = [
        Patch(facecolor=BLUE, edgecolor=BLUE, label="q < .05"),
        Patch(facecolor="white", edgecolor=BLUE, label="q ≥ .05, or none"),
        Patch(facecolor=ORANGE, edgecolor=ORANGE, label="no test: scores are means"),
    ]
    legend(out, marked, "change of a layer")
    return out


def ranked(axes: Axes, rows: pd.DataFrame, criterion: str) -> None:
    """A bar a layer, layer 0 at the bottom; filled where the change is no chance."""
    title, label = PANELS[criterion]
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel("layer")
    rows = known(rows, "value").sort_values("layer")
    if not len(rows):
        no_data(axes)
        return
    tested = criterion == "differential"
    colour = BLUE if tested else ORANGE
    filled = (rows["q"] < SIGNIFICANT) if tested else np.ones(len(rows), dtype=bool)
    faces = [colour if full else "white" for full in filled]
    axes.barh(rows["layer"], rows["value"], color=faces, edgecolor=colour, linewidth=1.2, height=0.7)
    if tested:
        reference_line(axes, vertical=True)
    top = int(rows["layer"].max())
    axes.set_yticks(range(0, top + 1, 1 + top // 16))
    axes.set_ylim(-0.6, top + 0.6)
