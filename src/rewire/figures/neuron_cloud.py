"""A cloud of MLP neurons coloured by layer: what the figures of neurons share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.curves import SIGNIFICANT
from rewire.figures.panels import legend, reference_line
from rewire.figures.style import FAINT, INK

Colours = dict[int, str]  # of each layer


def layer_colours(neurons: pd.DataFrame) -> Colours:
    layers = sorted(neurons["layer"].unique())
    return dict(zip(layers, sns.color_palette("viridis", len(layers)).as_hex(), strict=True))


def layer_legend(out: Figure, neurons: pd.DataFrame, colours: Colours) -> None:
    """The layers, and how many neurons of each have q < .05."""
    handles = [
        Line2D([], [], linestyle="none", marker="o", color=colour, label=changed(neurons, layer))
        for layer, colour in colours.items()
    ]
    handles.append(Line2D([], [], linestyle="none", marker="o", color=FAINT, label="q ≥ .05, or no test"))
    legend(out, handles, "layer, neurons with q < .05")


def changed(neurons: pd.DataFrame, layer: int) -> str:
    """``3 (412 of 512)``"""
    own = neurons[neurons["layer"] == layer]
    return f"{layer} ({int((own['q'] < SIGNIFICANT).sum()):,} of {len(own):,})"


def cloud(axes: Axes, rows: pd.DataFrame, ringed: pd.DataFrame, x: str, y: str, colours: Colours) -> None:
    """Column ``y`` against ``x``; neurons without q < .05 are grey and below, those of ``ringed`` get a ring."""
    firm = rows["q"] < SIGNIFICANT
    shades = np.where(firm, rows["layer"].map(colours), FAINT)
    order = np.argsort(firm.to_numpy(), kind="stable")
    axes.scatter(
        rows[x].to_numpy()[order],
        rows[y].to_numpy()[order],
        c=shades[order],
        s=9,
        alpha=0.7,
        linewidths=0,
        rasterized=len(rows) > 5000,
    )
    axes.scatter(ringed[x], ringed[y], s=30, facecolors="none", edgecolors=INK, linewidths=0.8)
    reference_line(axes)
    reference_line(axes, vertical=True)


def write_names(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """``layer.neuron`` beside the point of each row."""
    for layer, neuron, *at in rows[["layer", "neuron", x, y]].itertuples(index=False):
        axes.annotate(
            f"{layer}.{neuron}",
            at,
            (5, 4),
            textcoords="offset points",
            fontsize=8.5,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
        )
