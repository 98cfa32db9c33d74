"""Base, fine-tuned and LoRA model side by side, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from rewire.figures.curves import SIGNIFICANT, SUMMARY, choose, curve, interval_text, layer_axis
from rewire.figures.frames import read_frame
from rewire.figures.panels import legend, reference_line
from rewire.figures.style import BLUE, GREY, INK, ORANGE, blank, save, themed

COLUMNS = ("comparison", *SUMMARY)
# comparison -> label, colour, line
SIDES: dict[str, tuple[str, str, Any]] = {
    "finetuned": ("fine-tuned against base", BLUE, "-"),
    "lora": ("LoRA against base", ORANGE, "-"),
    "between": ("LoRA against fine-tuned", GREY, "--"),
}
# measure -> site, title, y label
PANELS = {
    "cosine_distance": ("residual", "Hidden states, cosine distance", "1 − cosine (0: same)"),
    "cka": ("residual", "Hidden states, linear CKA", "CKA (1: same)"),
    "norm_change": ("residual", "Residual stream, L2 norm", "relative change"),
    "attention_kl": ("attention", "Attention (mean over heads)", "KL(model ‖ reference) (nats)"),
    "entropy_change": ("attention", "Attention entropy (mean over heads)", "change (nats)"),
    "gini_change": ("attention", "Attention inequality (mean over heads)", "Gini, change"),
}
SIGNED = ("norm_change", "entropy_change", "gini_change")


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a three-way table. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: the summary of each comparison, and of their paired differences (``lora-finetuned``)."""
    out = blank(12.4, 6.2, f"Base, fine-tuned and LoRA model by layer: {name}")
    for axes, measure in zip(out.subplots(2, 3).ravel(), PANELS, strict=True):
        panel(axes, table, measure)
    handles = [
        Line2D([], [], color=colour, linestyle=line, marker="o", label=label)
        for label, colour, line in SIDES.values()
    ]
    star = Line2D(
        [],
        [],
        linestyle="none",
        marker="*",
        markersize=8,
        color=INK,
        label="the two changes\ndiffer (q < .05)",
    )
    legend(out, [*handles, star], f"bands: {interval_text(table)}")
    return out


def panel(axes: Axes, table: pd.DataFrame, measure: str) -> None:
    """One measure: a curve a comparison, a star where LoRA's change differs from fine-tuning's."""
    site, title, label = PANELS[measure]
    axes.set_title(title)
    axes.set_ylabel(label)
    rows = choose(table, "layers", measure, site)
    for name, (_, colour, line) in SIDES.items():
        own = rows[rows["comparison"] == name]
        curve(axes, own, "layer", colour, with_band=True, linestyle=line)
    different = rows[(rows["comparison"] == "lora-finetuned") & (rows["q"] < SIGNIFICANT)]
    if len(different):
        axes.plot(
            different["layer"],
            [1.0] * len(different),
            transform=axes.get_xaxis_transform(),
            linestyle="none",
            marker="*",
            markersize=8,
            color=INK,
            clip_on=False,
        )
    if measure in SIGNED and axes.lines:
        reference_line(axes)
    if measure == "norm_change":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    layer_axis(axes, "layer (0: embedding)" if site == "residual" else "layer")
