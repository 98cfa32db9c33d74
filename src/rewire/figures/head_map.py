"""A map of heads, layer by head: its cells, colour scale and dots, for every figure that draws one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

from rewire.figures.curves import SIGNIFICANT
from rewire.figures.frames import known
from rewire.figures.panels import OWN_TICKS, no_data
from rewire.figures.style import FAINT, INK

ANNOTATED = 64  # cells: with more the numbers would not be legible


def grid(rows: pd.DataFrame, column: str, shape: tuple[int, int]) -> np.ndarray:
    """[layers, heads] of ``column``, NaN where there is none."""
    table = known(rows, column).set_index(["layer", "head"])[column].unstack()
    return table.reindex(index=range(shape[0]), columns=range(shape[1])).to_numpy(dtype=float)


def largest(values: np.ndarray) -> float:
    """The end of the colour scale: the largest |value|; 1 if all are 0, as for a model against itself."""
    return float(np.nanmax([*np.abs(values).ravel(), 0])) or 1.0


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
