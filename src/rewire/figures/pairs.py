"""How much each corruption hurts the summary, checkpoint by checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire.figures.frames import known, mean_intervals, read_frame
from rewire.figures.panels import bars, checkpoint_handles, legend, no_data, reference_line, rule
from rewire.figures.style import blank, checkpoint_colours, save, themed

COLUMNS = ("checkpoint", "corruption", "id", "nll_clean", "nll_corrupted")
ROW = 0.21  # inches a checkpoint


def draw(effects: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw pair effects. Errors: InputError that names the table if it is empty or lacks columns."""
    save(figure(read_frame(effects, COLUMNS), name), png, svg)


@themed
def figure(effects: pd.DataFrame, name: str) -> Figure:
    """``effects``: NLL of the summary on the clean and the corrupted article, a row an example."""
    effects = effects.assign(effect=effects["nll_corrupted"] - effects["nll_clean"])
    corruptions = list(dict.fromkeys(effects["corruption"]))
    checkpoints = list(dict.fromkeys(effects["checkpoint"]))
    colours = checkpoint_colours(checkpoints)
    rows = len(corruptions) * (len(checkpoints) + 1)
    out = blank(7.6, max(2.2, 1.2 + ROW * rows), f"What corruption costs: {name}")
    axes = out.add_subplot()
    reference_line(axes, vertical=True)
    for i, corruption in enumerate(corruptions):
        group = effects[effects["corruption"] == corruption]
        for checkpoint, y in zip(checkpoints, positions(i, len(checkpoints)), strict=True):
            row(axes, group[group["checkpoint"] == checkpoint], y, colours[checkpoint])
        if i:
            rule(axes, i - 0.5)
    axes.set_yticks(range(len(corruptions)), corruptions)
    axes.set_ylim(len(corruptions) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("NLL of the summary: corrupted − clean article (nats a token)")
    axes.set_title(f"mean with 95 % CI; faint points are examples (n = {effects['id'].nunique():,})")
    if not len(known(effects, "effect")):
        no_data(axes)
    legend(out, checkpoint_handles(colours, checkpoints), "checkpoint")
    return out


def positions(corruption: int, n: int) -> list[float]:
    """y of each checkpoint's row inside the band of its corruption."""
    return [corruption + 0.8 * ((k + 0.5) / n - 0.5) for k in range(n)]


def row(axes: Axes, group: pd.DataFrame, y: float, colour: str) -> None:
    measured = known(group, "effect")["effect"].to_numpy()
    if not len(measured):
        return
    jitter = np.random.default_rng(0).uniform(-0.045, 0.045, len(measured))
    axes.scatter(measured, y + jitter, s=7, color=colour, alpha=0.25, linewidths=0, zorder=2)
    mean = mean_intervals(group, "checkpoint", "effect")
    bars(axes, mean[["value", "low", "high"]], [y], colour)
