"""Every kind of corruption: how much it hurts the target, and how far the circuits agree that two kinds give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire import statistics
from rewire.figures.frames import known, read_frame
from rewire.figures.noise_floor import noise_floor
from rewire.figures.overlap import heatmap
from rewire.figures.panels import checkpoint_handles, legend, no_data, reference_line
from rewire.figures.strips import ROW, group_axis, positions, strip
from rewire.figures.style import (
    ORANGE,
    blank,
    checkpoint_colours,
    checkpoint_label,
    save,
    themed,
)

EFFECTS = ("checkpoint", "corruption", "id", "nll_clean", "nll_corrupted")
AGREEMENT = ("model", "study", "first", "second", "edges", "edge_jaccard")
CELL = 0.55  # inches
WRAP = 38  # characters a line, of titles and labels


def draw(effects: str | Path, agreement: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw pair effects and the agreement of circuits.

    Errors: InputError that names the table if it is empty or lacks columns.
    """
    save(figure(read_frame(effects, EFFECTS), read_frame(agreement, AGREEMENT), name), png, svg)


@themed
def figure(effects: pd.DataFrame, agreement: pd.DataFrame, name: str) -> Figure:
    """``effects``: NLL of the target on the clean and the corrupted side, a row an example; ``agreement``: a row for
    each two circuits compared."""
    compared = agreement[agreement["study"] == "corruption"]
    corruptions = list(dict.fromkeys([*effects["corruption"], *compared["first"]]))
    checkpoints = list(dict.fromkeys(effects["checkpoint"]))
    colours = checkpoint_colours(checkpoints)
    height = max(CELL, ROW * (len(checkpoints) + 1)) * len(corruptions)
    widths = [5.2, max(2.6, 0.7 + CELL * len(corruptions))]
    out = blank(sum(widths) + 2.6, max(2.0, height) + 1.7, f"What corruption costs and changes: {name}")
    left, right = out.subplots(1, 2, width_ratios=widths)
    costs(left, effects, corruptions, colours)
    overlaps(right, agreement, corruptions)
    handles = checkpoint_handles(colours, checkpoints)
    for handle in handles:
        handle.set_label(fill(str(handle.get_label()), WRAP))
    legend(out, handles, "checkpoint")
    return out


def costs(axes: Axes, effects: pd.DataFrame, corruptions: Sequence[str], colours: Mapping[str, str]) -> None:
    """What each corruption does to the NLL, a strip a checkpoint."""
    effects = effects.assign(effect=effects["nll_corrupted"] - effects["nll_clean"])
    measured = known(effects, "effect")
    checkpoints = list(dict.fromkeys(effects["checkpoint"]))
    for i, corruption in enumerate(corruptions):
        group = measured[measured["corruption"] == corruption]
        for checkpoint, y in zip(checkpoints, positions(i, len(checkpoints)), strict=True):
            own = group[group["checkpoint"] == checkpoint]["effect"]
            if len(own):
                mean = statistics.mean(own.to_numpy())
                strip(axes, own, (mean.value, mean.low, mean.high), y, colours[checkpoint])
    axes.set_title(f"Effect (mean, 95 % CI; n = {effects['id'].nunique():,} examples)")
    axes.set_xlabel("NLL of the target: corrupted − clean (nats a token)")
    if not len(measured):
        no_data(axes)
        return
    reference_line(axes, vertical=True)
    group_axis(axes, corruptions)


def overlaps(axes: Axes, agreement: pd.DataFrame, corruptions: Sequence[str]) -> None:
    """Edge Jaccard of the circuits of every two corruptions, rows at the heights of ``group_axis``."""
    pairs = known(agreement[agreement["study"] == "corruption"], "edge_jaccard")
    if not len(pairs):
        axes.set_title("Circuits of two corruptions")
        no_data(axes)
        return
    model = pairs["model"].iloc[-1]
    floor = noise_floor(agreement, model, "edge_jaccard")
    title = fill(f"Circuits of two corruptions: {checkpoint_label(model)}", WRAP)
    axes.set_title(f"{title}\nnoise floor {floor}")
    table = pairs.pivot_table(index="first", columns="second", values="edge_jaccard")
    values = table.reindex(index=corruptions, columns=corruptions).to_numpy(dtype=float)
    mesh = heatmap(axes, values, corruptions)
    empty = list(dict.fromkeys(pairs[pairs["edges"] == 0]["first"]))
    if empty:
        axes.set_xlabel(fill(f"no edge: {', '.join(empty)} (two such circuits count as 1)", WRAP))
    bar = axes.figure.colorbar(mesh, ax=axes, label="edge Jaccard (0..1)\norange: noise floor")
    bar.outline.set_visible(False)
    bar.ax.hlines(floor, 0, 1, color=ORANGE, linewidth=[2.2, 1.2, 1.2])
