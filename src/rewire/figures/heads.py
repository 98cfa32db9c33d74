"""Which heads fine-tuning changed: entropy and attention KL, layer by head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import no_data
from rewire.figures.style import DIVERGING, FAINT, SEQUENTIAL, blank, checkpoint_label, save, themed

COLUMNS = ("id", "layer", "head", "entropy_base", "entropy", "attention_kl")
ANNOTATED = 64  # cells: with more the numbers would not be legible


def draw(heads: str | Path, checkpoint_name: str, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a heads table. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(heads, COLUMNS), checkpoint_name, name), png, svg)


@themed
def figure(heads: pd.DataFrame, checkpoint_name: str, name: str) -> Figure:
    """``heads``: a row an example, layer and head; the maps show means over examples."""
    n_layers, n_heads = int(heads["layer"].max()) + 1, int(heads["head"].max()) + 1
    change = grid(heads.assign(value=heads["entropy"] - heads["entropy_base"]), n_layers, n_heads)
    kl = grid(heads.assign(value=heads["attention_kl"]), n_layers, n_heads)
    cell = 0.58 if n_layers * n_heads <= ANNOTATED else 0.3
    width, height = max(3.6, 1.5 + cell * n_heads), max(2.6, 0.9 + cell * n_layers)
    title = f"Attention heads, {checkpoint_label(checkpoint_name)} against base: {name}"
    out = blank(2 * width, height + 0.5, title)
    left, right = out.subplots(1, 2)
    farthest = np.nanmax(np.abs(change)) if np.isfinite(change).any() else 0.0
    limit = float(farthest) or 1.0  # a model against itself: all cells are 0, the colour of the middle
    heatmap(left, change, DIVERGING, Normalize(-limit, limit), "entropy change (nats)")
    left.set_title(falling(change))
    heatmap(
        right,
        kl,
        SEQUENTIAL,
        Normalize(0, float(np.nanmax([*kl.ravel(), 0])) or 1.0),
        "KL(tuned ‖ base) (nats)",
    )
    right.set_title(f"Attention KL (mean over {heads['id'].nunique():,} examples)")
    return out


def grid(heads: pd.DataFrame, n_layers: int, n_heads: int) -> np.ndarray:
    """[layers, heads] means of the column ``value``, NaN where there is none."""
    mean = known(heads, "value").groupby(["layer", "head"])["value"].mean().unstack()
    return mean.reindex(index=range(n_layers), columns=range(n_heads)).to_numpy(dtype=float)


def falling(change: np.ndarray) -> str:
    measured = change[np.isfinite(change)]
    if not len(measured):
        return "Entropy"
    falls = int((measured < 0).sum())
    return f"Entropy falls in {falls} of {len(measured)} heads ({100 * falls / len(measured):.0f} %)"


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
    """What is written in the cells: two decimals, three where all values are small."""
    decimals = 2 if np.nanmax(np.abs(values)) >= 0.1 else 3
    texts = [f"{value:{'+' if signed else ''}.{decimals}f}".replace("-", "−") for value in values.ravel()]
    return np.array(texts).reshape(values.shape)
