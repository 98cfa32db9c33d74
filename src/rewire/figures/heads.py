"""Which heads fine-tuning changed: entropy, inequality and divergence of their attention, layer by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from rewire.figures.curves import SIGNIFICANT, SUMMARY, choose, interval_text
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import OWN_TICKS, no_data
from rewire.figures.style import DIVERGING, FAINT, INK, SEQUENTIAL, blank, checkpoint_label, save, themed

ANNOTATED = 64  # cells: with more the numbers would not be legible
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


def grid(rows: pd.DataFrame, column: str, shape: tuple[int, int]) -> np.ndarray:
    """[layers, heads] of ``column``, NaN where there is none."""
    table = known(rows, column).set_index(["layer", "head"])[column].unstack()
    return table.reindex(index=range(shape[0]), columns=range(shape[1])).to_numpy(dtype=float)


def largest(values: np.ndarray) -> float:
    """The end of the colour scale: the largest |value|; 1 if all are 0, as for a model against itself."""
    return float(np.nanmax([*np.abs(values).ravel(), 0])) or 1.0


def falling(what: str, change: np.ndarray, q: np.ndarray) -> str:
    """How many heads fall, and how many of them by more than chance."""
    measured = change[np.isfinite(change)]
    if not len(measured):
        return what
    falls = int((measured < 0).sum())
    firm = int(((change < 0) & (q < SIGNIFICANT)).sum())
    share = 100 * falls / len(measured)
    return f"{what} falls in {falls} of {len(measured)} heads ({share:.0f} %), {firm} with q < .05"


def dots(axes: Axes, q: np.ndarray) -> None:
    """A dot in the upper right corner of every cell that changed by more than chance."""
    layer, head = np.nonzero(q < SIGNIFICANT)
    if len(layer):
        axes.scatter(head + 0.87, layer + 0.85, s=10 if q.size <= ANNOTATED else 4, color=INK, linewidths=0)


def heatmap(axes: Axes, values: np.ndarray, colours: Colormap, norm: Normalize, label: str) -> None:
    """Layer 0 at the bottom, as in the circuit drawing; grey cells were not measured."""
    if not np.isfinite(values).any():
        no_data(axes)
        return
    few = values.size <= ANNOTATED
    axes.set_facecolor(FAINT)
    signed = norm.vmin is not None and norm.vmin < 0
    sns.heatmap(
        values,
        ax=axes,
        cmap=colours,
        norm=norm,
        annot=numbers(values, signed) if few else False,
        fmt="",
        annot_kws={"fontsize": 8.5},
        linewidths=0.6 if few else 0.2,
        linecolor="white",
        cbar_kws={"label": label},
        **OWN_TICKS,
    )
    axes.invert_yaxis()
    for axis, size in ((axes.xaxis, values.shape[1]), (axes.yaxis, values.shape[0])):
        shown = range(0, size, 1 + size // 17)
        axis.set_ticks([i + 0.5 for i in shown], labels=[str(i) for i in shown], rotation=0)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")


def numbers(values: np.ndarray, signed: bool) -> np.ndarray:
    """What is written in the cells: two decimals, more where all values are small."""
    largest_value = np.nanmax(np.abs(values))
    decimals = int(np.clip(1 - np.floor(np.log10(largest_value)), 2, 6)) if largest_value else 2
    texts = [f"{value:{'+' if signed else ''}.{decimals}f}".replace("-", "−") for value in values.ravel()]
    return np.array(texts).reshape(values.shape)
