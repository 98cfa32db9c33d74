"""Where fine-tuning changed the model: hidden states, attention and its entropy, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.errors import InputError
from rewire.figures.frames import known, mean_intervals, read_frame
from rewire.figures.panels import BAND, band, checkpoint_handles, legend, no_data, reference_line
from rewire.figures.style import INK, blank, checkpoint_colours, save, themed

LAYERS = ("id", "layer", "site", "cosine_distance")
HEADS = ("id", "layer", "head", "entropy_base", "entropy", "attention_kl")
HOLLOW: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.2,
}


def draw(
    layers: Mapping[str, str | Path],
    heads: Mapping[str, str | Path],
    steps: Mapping[str, int],
    name: str,
    png: str | Path,
    svg: str | Path,
) -> None:
    """Draw the differential tables of every checkpoint (name -> path, in training order).

    Errors: InputError that names the table if one is empty or lacks a column, or if there is no checkpoint.
    """
    if not layers or list(layers) != list(heads):
        raise InputError(
            "the layers figure needs layers and heads tables of the same checkpoints, at least one"
        )
    distances = {checkpoint: read_frame(path, LAYERS) for checkpoint, path in layers.items()}
    attention = {checkpoint: read_frame(path, HEADS) for checkpoint, path in heads.items()}
    save(figure(distances, attention, steps, name), png, svg)


@themed
def figure(
    layers: Mapping[str, pd.DataFrame], heads: Mapping[str, pd.DataFrame], steps: Mapping[str, int], name: str
) -> Figure:
    """``layers``, ``heads``: a row an example and layer (and site, or head), against the base model."""
    out = blank(11.2, 3.5, f"Change from the base model by layer: {name}")
    hidden, kl, entropy = out.subplots(1, 3)
    colours = checkpoint_colours(list(layers))
    last = list(layers)[-1]
    for checkpoint, colour in colours.items():
        if checkpoint not in layers:
            continue
        sites = layers[checkpoint].rename(columns={"cosine_distance": "value"})
        curve(hidden, sites[sites["site"] == "residual"], colour, checkpoint == last)
        after_norm(hidden, sites[sites["site"] == "final_norm"], colour, checkpoint == last)
        table = heads[checkpoint]
        curve(kl, over_heads(table.assign(value=table["attention_kl"])), colour, checkpoint == last)
        change = over_heads(table.assign(value=table["entropy"] - table["entropy_base"]))
        curve(entropy, change, colour, checkpoint == last)
    finish(hidden, "Hidden states", "1 − cosine similarity", "layer (0 = embedding)")
    finish(kl, "Attention, mean over heads", "KL(tuned ‖ base) (nats)", "layer")
    finish(entropy, "Attention entropy, mean over heads", "tuned − base (nats)", "layer")
    if entropy.lines:
        reference_line(entropy)
    norm = Line2D([], [], markeredgecolor=INK, label="after the final norm", **HOLLOW)
    text = f"95 % CI of the last,\n{layers[last]['id'].nunique():,} examples"
    interval = Patch(color=colours[last], alpha=BAND, linewidth=0, label=text)
    legend(out, [*checkpoint_handles(colours, layers, steps), norm, interval], "checkpoint")
    return out


def over_heads(table: pd.DataFrame) -> pd.DataFrame:
    """The mean over heads of each example and layer."""
    return known(table, "value").groupby(["id", "layer"], as_index=False)["value"].mean()


def curve(axes: Axes, table: pd.DataFrame, colour: str, with_band: bool) -> None:
    if with_band:
        mean = mean_intervals(table, "layer", "value")
        band(axes, mean["layer"], mean["low"], mean["high"], colour)
    else:
        mean = known(table, "value").groupby("layer", as_index=False)["value"].mean()
    if len(mean):
        axes.plot(mean["layer"], mean["value"], color=colour, marker="o")


def after_norm(axes: Axes, table: pd.DataFrame, colour: str, with_interval: bool) -> None:
    """A hollow marker beside the last layer, with its interval for the last checkpoint."""
    mean = mean_intervals(table, "layer", "value")
    if mean.empty:
        return
    x = mean["layer"] + 0.35
    if with_interval:
        axes.vlines(x, mean["low"], mean["high"], color=colour, linewidth=1.4)
    axes.plot(x, mean["value"], markeredgecolor=colour, **HOLLOW)


def finish(axes: Axes, title: str, label: str, below: str) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    axes.set_xlabel(below)
    if not axes.lines:
        no_data(axes)
        return
    top = int(max(line.get_xdata().max() for line in axes.lines))  # type: ignore[union-attr]
    axes.set_xticks(range(0, top + 1, 1 + top // 13))
