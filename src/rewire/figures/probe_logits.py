"""When the answer appears and what writes it: logit lens by layer, direct logit attribution by component and head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.curves import curve, layer_axis
from rewire.figures.frames import read_frame
from rewire.figures.head_map import ANNOTATED, dots, grid, heatmap, largest
from rewire.figures.panels import bars, legend, no_data, reference_line
from rewire.figures.probe_tables import ALL, RUNS, SUMMARY, choose, count_text, row_axis
from rewire.figures.style import DIVERGING, blank, save, themed

LENS = {"p_correct": "p(correct)", "logit_diff": "logit difference"}
# of direct attribution, in the order of the forward pass: site -> how it is called
BEFORE = {"embedding": "token embedding", "position": "position embedding"}
OF_LAYER = {"attention": "attention {}", "mlp": "MLP {}"}
AFTER = {"final_bias": "final biases"}


def draw(readings: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the means of a study's readings. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(readings, SUMMARY), name), png, svg)


@themed
def figure(readings: pd.DataFrame, name: str) -> Figure:
    """``readings``: means by group; drawn is the group of all prompts."""
    heads = choose(readings, "direct:head", "logit_diff")
    shape = (int(heads["layer"].max()) + 1, int(heads["head"].max()) + 1) if len(heads) else (1, 1)
    parts = components(readings)
    few = np.prod(shape) <= ANNOTATED
    width = max(4.0, 1.8 + (0.55 if few else 0.27) * shape[1])
    height = max(5.0, 1.4 + 0.24 * len(parts))
    out = blank(8.8 + width, height, f"Logit lens and direct logit attribution: {name}")
    grid_spec = out.add_gridspec(2, 3, width_ratios=[3.2, 3.6, width])
    for row, (measure, label) in enumerate(LENS.items()):
        lens(out.add_subplot(grid_spec[row, 0]), readings, measure, label)
    forest(out.add_subplot(grid_spec[:, 1]), readings, parts)
    limit = largest(heads["value"].to_numpy(dtype=float))
    for row, run in enumerate(RUNS):
        own, axes = heads[heads["run"] == run], out.add_subplot(grid_spec[row, 2])
        axes.set_title(f"Heads, {run} run")
        heatmap(axes, grid(own, "value", shape), DIVERGING, Normalize(-limit, limit), "adds to LD (logits)")
        dots(axes, grid(own, "q", shape))
    handles = [Line2D([], [], color=colour, marker="o", label=f"{run} run") for run, colour in RUNS.items()]
    legend(out, handles, f"95 % CI,\n{count_text(heads)}\ndot: q < .05")
    return out


def lens(axes: Axes, readings: pd.DataFrame, measure: str, label: str) -> None:
    """One measure of the residual stream as it enters each layer, and leaves the last."""
    axes.set_title(f"Logit lens, {label}")
    axes.set_ylabel(label if measure == "p_correct" else f"{label} (logits)")
    rows = choose(readings, "lens", measure)
    for run, colour in RUNS.items():
        curve(axes, rows[rows["run"] == run], "layer", colour, with_band=True)
    if measure != "p_correct" and axes.lines:
        reference_line(axes)
    layer_axis(axes, "residual stream entering layer (last: final)")


def components(readings: pd.DataFrame) -> list[tuple[str, int | None, str]]:
    """Site, layer and label of every component that writes, in the order of the forward pass."""
    there = readings[(readings["measure"] == "logit_diff") & (readings["group"] == ALL)]
    layers = sorted(there.loc[there["site"] == "direct:mlp", "layer"].dropna().astype(int).unique())
    sites = set(there["site"])
    inside = [(part, layer, label.format(layer)) for layer in layers for part, label in OF_LAYER.items()]
    ends = [[(part, None, label) for part, label in side.items()] for side in (BEFORE, AFTER)]
    return [part for part in [*ends[0], *inside, *ends[1]] if f"direct:{part[0]}" in sites]


def forest(axes: Axes, readings: pd.DataFrame, parts: list[tuple[str, int | None, str]]) -> None:
    """What each component adds to the logit difference in both runs, with its interval."""
    axes.set_title("Direct attribution (sum: logit difference)")
    axes.set_xlabel("adds to logit difference (logits)")
    if not parts:
        no_data(axes)
        return
    for y, (part, layer, _) in enumerate(parts):
        rows = choose(readings, f"direct:{part}", "logit_diff")
        rows = rows if layer is None else rows[rows["layer"] == layer]
        for shift, (run, colour) in zip((-0.16, 0.16), RUNS.items(), strict=True):
            own = rows[rows["run"] == run]
            bars(
                axes, own[["value", "low", "high"]].to_numpy().reshape(-1, 3), [y + shift] * len(own), colour
            )
    row_axis(axes, [label for *_, label in parts])
    reference_line(axes, vertical=True)
