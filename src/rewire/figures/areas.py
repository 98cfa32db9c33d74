"""CPR and CMD over the checkpoints: whole faithfulness curves as one number, beside their nulls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.errors import InputError
from rewire.figures.frames import known, read_frame
from rewire.figures.noise_floor import spread
from rewire.figures.panels import legend, no_data, note, reference_line
from rewire.figures.style import BLUE, INK, ORANGE, PURPLE, blank, checkpoint_label, save, themed
from rewire.statistics import MINIMUM

COLUMNS = ("area", "circuit", "draw", "value", "low", "high", "examples")
PANELS = {  # title, y label, the whole model's value
    "CPR": ("CPR: area under f (more is better)", "area, edges by signed score", 1.0),
    "CMD": ("CMD: area between f and 1 (0 is best)", "area, edges by |score|", 0.0),
}
KINDS: dict[str, tuple[str, float, dict[str, Any]]] = {  # label, shift beside the tick, marker
    "held-out": ("circuit, held-out pairs", -0.2, {"color": BLUE, "marker": "o"}),
    "circuit": ("circuit, the pairs that scored it", 0.0, {"color": INK, "marker": "D", "markersize": 3.5}),
    "other-task": ("another task's circuit", 0.2, {"color": PURPLE, "marker": "s"}),
}
RANDOM: dict[str, Any] = {
    "color": ORANGE,
    "marker": "_",
    "markersize": 11,
    "markeredgecolor": ORANGE,
    "linewidth": 5,
    "alpha": 0.45,
}


def draw(
    tables: Mapping[str, str | Path], steps: Mapping[str, int], name: str, png: str | Path, svg: str | Path
) -> None:
    """Draw the tables of areas of every checkpoint (name -> path, in training order).

    Errors: InputError that names the table if one is empty or lacks a column, or if there is no checkpoint.
    """
    if not tables:
        raise InputError("the areas figure needs the table of at least one checkpoint")
    save(figure({c: read_frame(path, COLUMNS) for c, path in tables.items()}, steps, name), png, svg)


@themed
def figure(tables: Mapping[str, pd.DataFrame], steps: Mapping[str, int], name: str) -> Figure:
    """``tables``: each checkpoint's areas of every kind of circuit."""
    out = blank(10.8, 3.8, f"Areas under the faithfulness curves: {name}")
    for axes, (area, (title, label, whole)) in zip(out.subplots(1, 2), PANELS.items(), strict=True):
        axes.set_title(title)
        axes.set_ylabel(label)
        panel(axes, {c: known(t[t["area"] == area], "value") for c, t in tables.items()}, steps)
        if axes.lines:
            reference_line(axes, whole)
            if area == "CPR":
                note(axes, "random circuits match those by |score|: a scale, no test")
    kinds = set(pd.concat(tables.values())["circuit"])
    handles: list[Any] = [
        Line2D([], [], linewidth=1.5, label=label, **style)
        for kind, (label, _, style) in KINDS.items()
        if kind in kinds
    ]
    draws = max(t.loc[t["circuit"] == "random", "draw"].nunique() for t in tables.values())
    random = f"{draws} random circuits:\nmean and 5–95 %"
    whole_line = Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="whole model")
    legend(out, [*handles, Line2D([], [], label=random, **RANDOM), whole_line], "bars: 95 % CI")
    return out


def panel(axes: Axes, tables: Mapping[str, pd.DataFrame], steps: Mapping[str, int]) -> None:
    """One area: a column a checkpoint; none where f is not settled."""
    shown = {c: table for c, table in tables.items() if settled(table)}
    axes.set_xlabel("checkpoint (training step, evenly spaced)" if steps else "checkpoint")
    for place, (checkpoint, table) in enumerate(tables.items()):
        if checkpoint not in shown:
            continue
        null = spread(table[table["circuit"] == "random"], "value")
        axes.vlines(place + 0.35, null.low, null.high, color=ORANGE, linewidth=5, alpha=0.45)
        axes.plot([place + 0.35], [null.mean], linestyle="none", **RANDOM)
        for kind, (_, shift, style) in KINDS.items():
            for row in table[table["circuit"] == kind].itertuples():
                axes.vlines(place + shift, row.low, row.high, color=style["color"], linewidth=1.5)
                axes.plot([place + shift], [row.value], linestyle="none", **style)
    if not shown:
        no_data(axes)
        return
    labels = [checkpoint_label(c, steps.get(c)).replace(" (", "\n(") for c in tables]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(False, axis="x")
    left_out = [checkpoint_label(c) for c in tables if c not in shown]
    if left_out:
        note(axes, f"not {', '.join(left_out)}: corruption may not change the NLL")


def settled(areas: pd.DataFrame) -> bool:
    """Whether f means something: enough examples for an interval, and none, say that it does not."""
    return bool(len(areas)) and (bool(areas["low"].notna().any()) or int(areas["examples"].max()) < MINIMUM)
