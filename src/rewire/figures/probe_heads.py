"""Which heads bring the answer: what each recovers by its output, queries, keys, values and attention, layer by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.head_map import ANNOTATED, dots, grid, heatmap, largest
from rewire.figures.panels import bars, no_data, reference_line
from rewire.figures.probe_tables import HEADS, SHARE, SUMMARY, choose, count_text, row_axis, strongest
from rewire.figures.style import BLUE, DIVERGING, blank, save, themed

NAMED = 10  # heads with their interval


def draw(summary: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the heads of a patch grid's summary. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(summary, SUMMARY), name), png, svg)


@themed
def figure(summary: pd.DataFrame, name: str) -> Figure:
    """``summary``: means by group; drawn is the group of all prompts, patched at all positions together."""
    heads = {site: choose(summary, site, "recovered") for site in HEADS}
    every = pd.concat(heads.values())
    shape = (int(every["layer"].max()) + 1, int(every["head"].max()) + 1) if len(every) else (1, 1)
    cell = 0.55 if np.prod(shape) <= ANNOTATED else 0.27
    width, height = max(4.0, 1.8 + cell * shape[1]), max(2.6, 1.0 + cell * shape[0])
    out = blank(3 * width, 2 * height + 0.5, f"Attention heads patched from the clean run: {name}")
    panels = out.subplots(2, 3).ravel()
    limit = max(largest(grid(rows, "value", shape)) for rows in heads.values())
    for axes, (site, rows) in zip(panels, heads.items(), strict=False):
        axes.set_title(HEADS[site])
        heatmap(axes, grid(rows, "value", shape), DIVERGING, Normalize(-limit, limit), "recovered")
        dots(axes, grid(rows, "q", shape))
    leading(panels[-1], heads["z"])
    note = f"{SHARE}: ratio of means over {count_text(every)}, all positions together; one colour scale"
    out.supxlabel(f"{note}; dot: q < .05 (sign flips, Benjamini–Hochberg)", fontsize=8.5)
    return out


def leading(axes: Axes, rows: pd.DataFrame) -> None:
    """The heads whose output recovers most, with their intervals."""
    best = strongest(rows, NAMED)
    axes.set_title(f"Output (z), the {len(best)} largest")
    axes.set_xlabel("share recovered (95 % CI)")
    if not len(best):
        no_data(axes)
        return
    bars(axes, best[["value", "low", "high"]], range(len(best)), BLUE)
    row_axis(axes, [f"{row.layer:.0f}.{row.head:.0f}" for row in best.itertuples()])
    axes.set_ylabel("layer.head")
    reference_line(axes, vertical=True)
