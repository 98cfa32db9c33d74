"""What fine-tuning changed where: how far one model gets to the other with the other's activations, by layer and head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.curves import curve, layer_axis
from rewire.figures.frames import known, read_frame
from rewire.figures.head_map import ANNOTATED, grid, heatmap, largest
from rewire.figures.panels import legend, reference_line
from rewire.figures.probe_tables import ALL, COMPONENTS, HEADS, count_text
from rewire.figures.scales import clipped_axis
from rewire.figures.style import BLUE, DIVERGING, GREEN, GREY, ORANGE, blank, save, themed

COLUMNS = (
    "group", "direction", "site", "layer", "head", "measure", "base", "finetuned", "recovered", "recovered_low",
    "recovered_high", "n",
)  # fmt: skip
MEASURES = {  # the first that the table has is drawn: name, unit
    "nll": ("NLL of the targets", "nats a token"),
    "logit_diff": ("logit difference", "logits"),
    "p_correct": ("p(correct)", ""),
}
DIRECTIONS = {
    "into-base": "Base with the fine-tuned model's",
    "into-finetuned": "Fine-tuned model with the base's",
}
COLOURS = dict(zip(COMPONENTS, (GREY, BLUE, ORANGE, GREEN), strict=True))
ENDS = {"": "value", "_low": "low", "_high": "high"}  # of the column recovered, as curves call them
SEEN = (-1.0, 2.5)  # shares that curves show, at most


def draw(summary: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a summary of cross-model patches. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(summary, COLUMNS), name), png, svg)


@themed
def figure(summary: pd.DataFrame, name: str) -> Figure:
    """``summary``: a row a group, direction, place and measure; drawn is the group of all examples."""
    measure = next(name for name in MEASURES if name in set(summary["measure"]))
    rows = summary[(summary["group"] == ALL) & (summary["measure"] == measure)]
    rows = rows.rename(columns={f"recovered{end}": name for end, name in ENDS.items()})
    heads = rows[rows["head"].notna()]
    sites = [site for site in HEADS if site in set(heads["site"])]
    shape = (int(rows["layer"].max()) + 1, int(heads["head"].max()) + 1 if len(heads) else 1)
    cell = 0.55 if np.prod(shape) <= ANNOTATED else 0.27
    width = max(4.0, 1.8 + cell * shape[1])
    height = max(2.8, 1.1 + cell * shape[0])
    out = blank(6.2 + width * len(sites), 2 * height + 0.7, f"Cross-model patches: {name}")
    ratios = [4.2, *[width] * len(sites)]
    panels = out.subplots(2, 1 + len(sites), squeeze=False, width_ratios=ratios)
    for row, (direction, title) in zip(panels, DIRECTIONS.items(), strict=True):
        own = rows[rows["direction"] == direction]
        components(row[0], own[own["head"].isna()], f"{title} activations")
        for axes, site in zip(row[1:], sites, strict=True):
            values = grid(own[own["site"] == site], "value", shape)
            limit = largest(values)
            heatmap(axes, values, DIVERGING, Normalize(-limit, limit), "share of the way")
            axes.set_title(f"Heads, {HEADS[site]}")
    handles = [
        Line2D([], [], color=COLOURS[site], marker="o", label=label)
        for site, label in COMPONENTS.items()
        if site in set(rows["site"])
    ]
    legend(out, handles, f"95 % CI,\n{count_text(rows)}")
    out.supxlabel(f"share of the way to the other model: {ends(rows, measure)}; 1: all of it", fontsize=8.5)
    return out


def ends(rows: pd.DataFrame, measure: str) -> str:
    """``logit difference, base 8.12 logits, fine-tuned 8.40 logits``"""
    name, unit = MEASURES[measure]
    first = rows.iloc[0]
    values = [
        f"{word} {first[key]:.3g} {unit}" for word, key in (("base", "base"), ("fine-tuned", "finetuned"))
    ]
    return ", ".join([name, *map(str.strip, values)]).replace(" -", " −")


def components(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    """The share of the way by layer, a curve a site; the axis says what it leaves out."""
    axes.set_title(title)
    axes.set_ylabel("share of the way")
    for site, colour in COLOURS.items():
        curve(axes, rows[rows["site"] == site], "layer", colour, with_band=True)
    layer_axis(axes)
    values = known(rows.melt(value_vars=list(ENDS.values()), value_name="share"), "share")["share"]
    if len(values):
        reference_line(axes)
        reference_line(axes, 1.0)
        clipped_axis(axes, values.to_numpy(dtype=float), *SEEN)
