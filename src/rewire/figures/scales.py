"""Scales that stay legible: shares on a log axis in percent, and axes that say what they leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rewire.figures.panels import no_data, note

PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def percent_axis(axes: Axes, shares: Any) -> None:
    """A log x axis in percent over ``shares`` (percent), with ticks at 1, 2 and 5 if there is room."""
    low, high = min(shares), max(shares)
    steps = [m * 10.0**power for power in range(-6, 3) for m in (1, 2, 5)]
    ticks = [tick for tick in steps if low * 0.999 <= tick <= high * 1.001]
    ticks = ticks if len(ticks) <= 10 else [tick for tick in ticks if f"{tick:e}"[0] == "1"]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks or [low]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlim(low / 1.15, high * 1.15)


def clipped_axis(axes: Axes, values: np.ndarray, lowest: float, highest: float) -> None:
    """A y axis over ``values`` (finite) and 0..1, cut at ``lowest`` and ``highest``."""
    if not len(values):
        no_data(axes)
        return
    low, high = min(0.0, values.min()) - 0.05, max(1.0, values.max()) + 0.05
    axes.set_ylim(max(lowest, low), min(highest, high))
    outside = int(((values < lowest) | (values > highest)).sum())
    if outside:
        note(axes, f"{outside:,} of {len(values):,} values lie outside the axis")
