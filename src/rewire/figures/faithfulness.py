"""How much of the model a circuit restores at each size, beside random circuits of that size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.errors import InputError
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import BAND, band, checkpoint_handles, legend, reference_line
from rewire.figures.scales import clipped_axis, log_axis, percent_axis
from rewire.figures.style import ORANGE, blank, checkpoint_colours, checkpoint_label, save, themed

COLUMNS = ("circuit", "draw", "fraction", "normalised", "normalised_low", "normalised_high", "kl")
LOWEST, HIGHEST = -0.5, 1.5  # normalised faithfulness beyond is cut, and said to be
DECADES = 5  # of KL, down from the largest


def draw(
    tables: Mapping[str, str | Path], steps: Mapping[str, int], name: str, png: str | Path, svg: str | Path
) -> None:
    """Draw the faithfulness tables of every checkpoint (name -> path, in training order).

    Errors: InputError that names the table if one is empty or lacks a column, or if there is no checkpoint.
    """
    if not tables:
        raise InputError("the faithfulness figure needs the table of at least one checkpoint")
    save(figure({c: read_frame(path, COLUMNS) for c, path in tables.items()}, steps, name), png, svg)


@themed
def figure(tables: Mapping[str, pd.DataFrame], steps: Mapping[str, int], name: str) -> Figure:
    """``tables``: rows ``circuit`` (one a fraction) and ``random`` (one a fraction and draw)."""
    rows = {c: t[t["fraction"] > 0].assign(percent=100 * t["fraction"]) for c, t in tables.items()}
    circuits = {c: t[t["circuit"] == "circuit"].sort_values("percent") for c, t in rows.items()}
    first, last = list(tables)[0], list(tables)[-1]
    null = rows[last][rows[last]["circuit"] == "random"]
    drawn = pd.concat([*circuits.values(), null])
    colours = checkpoint_colours(list(tables))
    out = blank(10.8, 4.1, f"Faithfulness of circuits: {name}")
    left, right = out.subplots(1, 2)
    left.set_title("Normalised faithfulness (1: whole model, 0: corrupted)")
    left.set_ylabel("(circuit − corrupted) / (whole − corrupted)")
    right.set_title("Distance from the whole model")
    right.set_ylabel("KL(whole ‖ circuit) (nats)")
    for axes in (left, right):
        axes.set_xlabel("edges kept, before pruning (% of all)")
        if len(drawn):
            percent_axis(axes, drawn["percent"])
    random_band(left, known(null, "normalised"), "normalised", "max")
    random_band(right, null[null["kl"] > 0], "kl", "min")
    for checkpoint, own in circuits.items():
        if checkpoint in (first, last):
            band(left, own["percent"], own["normalised_low"], own["normalised_high"], colours[checkpoint])
        for axes, table, column in (
            (left, known(own, "normalised"), "normalised"),
            (right, own[own["kl"] > 0], "kl"),
        ):
            axes.plot(table["percent"], table[column], color=colours[checkpoint], marker="o")
    reference_line(left, 0)
    reference_line(left, 1)
    clipped_axis(left, known(drawn, "normalised")["normalised"].to_numpy(), LOWEST, HIGHEST)
    log_axis(right, known(drawn, "kl")["kl"].to_numpy(), DECADES)
    ends = "95 % CI, first and last" if first != last else "95 % CI"
    shade = Patch(color=colours[last], alpha=BAND, linewidth=0, label=ends)
    null_handles = random_handles(null, checkpoint_label(last))
    legend(out, [*checkpoint_handles(colours, tables, steps), shade, *null_handles], "checkpoint")
    return out


def random_band(axes: Axes, null: pd.DataFrame, column: str, best: str) -> None:
    """The middle 95 % of the random circuits at each fraction, and the best of them as a thin line."""
    if not len(null):
        return
    draws = null.groupby("percent")[column]
    top = draws.agg(best)
    band(axes, top.index, draws.quantile(0.025), draws.quantile(0.975), ORANGE)
    axes.plot(top.index, top, color=ORANGE, linewidth=0.9)


def random_handles(null: pd.DataFrame, checkpoint: str) -> list[Any]:
    draws = null["draw"].nunique()
    if not draws:
        return []
    text = f"{draws} random circuits of\n{checkpoint}, 2.5–97.5 %"
    best = Line2D([], [], color=ORANGE, linewidth=0.9, label="the best random one")
    return [Patch(color=ORANGE, alpha=BAND, linewidth=0, label=text), best]
