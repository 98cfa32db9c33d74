"""Where fine-tuning changed the model, layer by layer: hidden states, activations, attention."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from rewire.errors import InputError
from rewire.figures.curves import HOLLOW, SUMMARY, choose, curve, interval_text, layer_axis, titled
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import BAND, checkpoint_handles, legend, reference_line
from rewire.figures.style import (
    BLUE,
    INK,
    ORANGE,
    PURPLE,
    blank,
    checkpoint_colours,
    checkpoint_label,
    save,
    themed,
)

STATES = {
    "cosine_distance": "Cosine distance|1 − cosine (0: same)",
    "centred_cosine_distance": "Centred cosine distance|1 − cosine, means removed",
    "cka": "Linear CKA|CKA (1: same)",
    "rsa": "RSA|correlation (1: same)",
}
ATTENTION = {
    "attention_kl": "Attention KL (mean over heads)|KL(tuned ‖ base) (nats)",
    "entropy_change": "Entropy (mean over heads)|tuned − base (nats)",
    "gini_change": "Inequality (mean over heads)|Gini, tuned − base",
}
COMPONENTS = {
    "residual": ("residual stream after the block", INK),
    "attention_out": ("attention out", BLUE),
    "mlp_neurons": ("MLP neurons", PURPLE),
    "mlp_out": ("MLP out", ORANGE),
}


def draw(
    summaries: Mapping[str, str | Path], steps: Mapping[str, int], name: str, png: str | Path, svg: str | Path
) -> None:
    """Draw the summary tables of every checkpoint (name -> path, in training order).

    Errors: InputError that names the table if one is empty or lacks a column, or if there is no checkpoint.
    """
    if not summaries:
        raise InputError("the layers figure needs the summary of at least one checkpoint")
    tables = {checkpoint: read_frame(path, SUMMARY) for checkpoint, path in summaries.items()}
    save(figure(tables, steps, name), png, svg)


@themed
def figure(summaries: Mapping[str, pd.DataFrame], steps: Mapping[str, int], name: str) -> Figure:
    """``summaries``: a row a measure and place, against the base model."""
    out = blank(13.6, 6.2, f"Change from the base model by layer: {name}")
    states, others = out.subplots(2, 4)
    colours = checkpoint_colours(list(summaries))
    last = list(summaries)[-1]
    for checkpoint, table in summaries.items():
        colour, is_last = colours[checkpoint], checkpoint == last
        for axes, measure in zip(states, STATES, strict=True):
            rows = choose(table, "layers", measure)
            curve(axes, rows[rows["site"] == "residual"], "layer", colour, is_last)
            after_norm(axes, rows[rows["site"] == "final_norm"], colour, is_last)
        for axes, measure in zip(others[1:], ATTENTION, strict=True):
            curve(axes, choose(table, "layers", measure), "layer", colour, is_last)
    magnitudes(others[0], summaries[last], last)
    finish(states, others)
    norm = Line2D([], [], markeredgecolor=INK, label="after the final norm", **HOLLOW)
    shown = choose(summaries[last], "layers", "cosine_distance")
    interval = Patch(color=colours[last], alpha=BAND, linewidth=0, label=f"last: {interval_text(shown)}")
    legend(out, [*checkpoint_handles(colours, summaries, steps), norm, interval], "checkpoint")
    components = [Line2D([], [], color=c, marker="o", label=label) for label, c in COMPONENTS.values()]
    out.legend(handles=components, title="activations", loc="outside right lower", alignment="left")
    return out


def finish(states: list[Axes], others: list[Axes]) -> None:
    """Titles, units and layers of all panels but the activations' title."""
    for axes, measure in zip(states, STATES, strict=True):
        titled(axes, STATES, measure)
        layer_axis(axes, "layer (0: embedding)")
    for axes, measure in zip(others[1:], ATTENTION, strict=True):
        titled(axes, ATTENTION, measure)
        if axes.lines and measure != "attention_kl":
            reference_line(axes)
    for axes in others:
        layer_axis(axes)


def magnitudes(axes: Axes, summary: pd.DataFrame, checkpoint: str) -> None:
    """Relative change of the activations' norm at the last checkpoint, a curve a component."""
    axes.set_title(f"Activations, {checkpoint_label(checkpoint)}")
    axes.set_ylabel("L2 norm, relative change")
    for site, (_, colour) in COMPONENTS.items():
        rows = choose(summary, "layers", "norm_change", site)
        if site == "residual":
            rows = rows[rows["layer"] > 0].assign(layer=rows["layer"] - 1)
        curve(axes, rows, "layer", colour, with_band=True)
    if axes.lines:
        reference_line(axes)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def after_norm(axes: Axes, rows: pd.DataFrame, colour: str, with_interval: bool) -> None:
    """A hollow marker beside the last layer, with its interval for the last checkpoint."""
    rows = known(rows, "value")
    x = rows["layer"] + 0.35
    if with_interval:
        axes.vlines(x, rows["low"], rows["high"], color=colour, linewidth=1.4)
    if len(rows):
        axes.plot(x, rows["value"], markeredgecolor=colour, **HOLLOW)
