"""Which heads fine-tuning changed: entropy, inequality and divergence of their attention, layer by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.curves import SIGNIFICANT, SUMMARY, choose, interval_text
from rewire.figures.frames import read_frame
from rewire.figures.head_map import ANNOTATED, dots, grid, heatmap, largest
from rewire.figures.style import DIVERGING, SEQUENTIAL, blank, checkpoint_label, save, themed

CHANGES = {"entropy_change": "entropy, tuned − base (nats)", "gini_change": "Gini, tuned − base"}
DIVERGENCES = {
    "attention_kl": "KL(tuned ‖ base) (nats)",
    "attention_js": "Jensen–Shannon divergence (nats)",
}


def draw(summary: str | Path, checkpoint_name: str, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the heads of a summary table. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(summary, SUMMARY), checkpoint_name, name), png, svg)


@themed
def figure(summary: pd.DataFrame, checkpoint_name: str, name: str) -> Figure:
    """``summary``: a row a measure and place; the maps show means over examples, dots where q < .05."""
    heads = summary[summary["family"] == "heads"]
    shape = (int(heads["layer"].max()) + 1, int(heads["head"].max()) + 1) if len(heads) else (1, 1)
    cell = 0.58 if np.prod(shape) <= ANNOTATED else 0.3
    width, height = max(4.2, 1.7 + cell * shape[1]), max(2.6, 1.0 + cell * shape[0])
    title = f"Attention heads, {checkpoint_label(checkpoint_name)} against base: {name}"
    out = blank(2 * width, 2 * height + 0.5, title)
    changes, divergences = out.subplots(2, 2)
    for axes, (measure, label) in zip(changes, CHANGES.items(), strict=True):
        rows = choose(heads, "heads", measure)
        values, q = grid(rows, "value", shape), grid(rows, "q", shape)
        limit = largest(values)
        heatmap(axes, values, DIVERGING, Normalize(-limit, limit), label)
        dots(axes, q)
        axes.set_title(falling("Entropy" if measure == "entropy_change" else "Gini", values, q))
    for axes, (measure, label) in zip(divergences, DIVERGENCES.items(), strict=True):
        values = grid(choose(heads, "heads", measure), "value", shape)
        heatmap(axes, values, SEQUENTIAL, Normalize(0, largest(values)), label)
    divergences[0].set_title("Attention KL")
    divergences[1].set_title("Attention Jensen–Shannon divergence")
    note = interval_text(heads).split("\n")[-1]
    out.supxlabel(f"means over {note}; dot: q < .05 (paired permutation, Benjamini–Hochberg)", fontsize=8.5)
    return out


def falling(what: str, change: np.ndarray, q: np.ndarray) -> str:
    """How many heads fall, and how many of them by more than chance."""
    measured = change[np.isfinite(change)]
    if not len(measured):
        return what
    falls = int((measured < 0).sum())
    firm = int(((change < 0) & (q < SIGNIFICANT)).sum())
    share = 100 * falls / len(measured)
    return f"{what} falls in {falls} of {len(measured)} heads ({share:.0f} %), {firm} with q < .05"
