"""Which MLP neurons fine-tuning changed: effect size against difference, and the most changed ones by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire.figures.frames import known, read_frame
from rewire.figures.neuron_cloud import Colours, cloud, layer_colours, layer_legend, write_names
from rewire.figures.panels import bars, no_data, reference_line, rule
from rewire.figures.style import blank, checkpoint_label, save, themed

COLUMNS = ("layer", "neuron", "rank", "difference", "low", "high", "cohens_d", "q", "n")
ROW = 0.17  # inches a named neuron


def draw(
    neurons: str | Path, checkpoint_name: str, top: int, name: str, png: str | Path, svg: str | Path
) -> None:
    """Draw a neurons table, ``top`` neurons of each layer by name.

    Errors: InputError that names the table if it is empty or lacks a column.
    """
    save(figure(read_frame(neurons, COLUMNS), checkpoint_name, top, name), png, svg)


@themed
def figure(neurons: pd.DataFrame, checkpoint_name: str, top: int, name: str) -> Figure:
    """``neurons``: a row a neuron, with its mean difference and Cohen's d over examples."""
    colours = layer_colours(neurons)
    height = max(4.2, 1.4 + ROW * top * len(colours))
    out = blank(11.2, height, f"MLP neurons, {checkpoint_label(checkpoint_name)} against base: {name}")
    left, named = out.subplots(1, 2, width_ratios=[1.5, 1])
    scatter(left, neurons, colours, top)
    forest(named, neurons, colours, top)
    layer_legend(out, neurons, colours)
    return out


def scatter(axes: Axes, neurons: pd.DataFrame, colours: Colours, top: int) -> None:
    """Cohen's d against mean difference; those without a significant difference are grey, the named ones ringed."""
    rows = known(neurons, "cohens_d")
    n = int(neurons["n"].max())
    axes.set_title(f"{len(neurons):,} neurons over {n:,} examples")
    axes.set_xlabel("mean activation, tuned − base")
    axes.set_ylabel("Cohen's d")
    if not len(rows):
        no_data(axes)
        return
    best = rows[rows["rank"] <= top]
    cloud(axes, rows, best, "difference", "cohens_d", colours)
    write_names(axes, best[best["rank"] == 1], "difference", "cohens_d")


def forest(axes: Axes, neurons: pd.DataFrame, colours: Colours, top: int) -> None:
    """Mean difference with interval of the ``top`` neurons of each layer by |Cohen's d|, the first layer on top."""
    best = known(neurons[neurons["rank"] <= top], "cohens_d").sort_values(["layer", "rank"])
    axes.set_title(f"Largest |d| of each layer (top {top})")
    axes.set_xlabel("mean activation, tuned − base (95 % CI)")
    if not len(best):
        no_data(axes)
        return
    best = best.assign(y=range(len(best)))
    for layer, rows in best.groupby("layer"):
        bars(axes, rows[["difference", "low", "high"]], rows["y"], colours[layer])
        if rows["y"].iloc[0]:
            rule(axes, rows["y"].iloc[0] - 0.5)
    labels = [
        f"{row.layer}.{row.neuron}  (d {row.cohens_d:+.1f})".replace("-", "−") for row in best.itertuples()
    ]
    axes.set_yticks(best["y"], labels)
    axes.set_ylabel("layer.neuron")
    axes.set_ylim(len(best) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    reference_line(axes, vertical=True)
