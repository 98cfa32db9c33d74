"""A square of agreements, 0..1, between every two of some circuits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from seaborn.utils import relative_luminance

from rewire.figures.style import FAINT, INK, SEQUENTIAL


def heatmap(axes: Axes, values: np.ndarray, labels: Sequence[str]) -> QuadMesh:
    """``values`` [n, n] with their numbers, the first row on top; grey cells were not measured."""
    n = len(labels)
    edges = np.arange(n + 1) - 0.5
    mesh = axes.pcolormesh(
        edges, edges, values, cmap=SEQUENTIAL, vmin=0, vmax=1, edgecolors="white", linewidth=0.8
    )
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = values[row, column]
        colour = INK if relative_luminance(SEQUENTIAL(value)) > 0.408 else "white"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_facecolor(FAINT)
    axes.set_xticks(range(n), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), [""] * n)
    axes.set_ylim(n - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return mesh
