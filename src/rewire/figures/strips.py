"""Strips: every value a faint point, their mean a marker with its interval, groups of rows one under the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from rewire.figures.panels import bars, rule

ROW = 0.21  # inches a strip
JITTER = 0.045  # of the height of a group


def group_axis(axes: Axes, labels: Sequence[str]) -> None:
    """A y axis of groups at 0, 1, ..., the first on top, parted by thin lines."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    for i in range(1, len(labels)):
        rule(axes, i - 0.5)


def positions(group: int, n: int) -> list[float]:
    """y of each of ``n`` strips inside a group."""
    return [group + 0.8 * ((k + 0.5) / n - 0.5) for k in range(n)]


def strip(axes: Axes, values: ArrayLike, centre: Sequence[float], y: float, colour: str) -> None:
    """Draw finite ``values`` at height ``y``; ``centre``: their mean, and the low and high end of its bar."""
    points = np.asarray(values, dtype=float)
    if not len(points):
        return
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, len(points))
    axes.scatter(points, y + jitter, s=7, color=colour, alpha=0.25, linewidths=0, zorder=2)
    bars(axes, [list(centre)], [y], colour)
