"""How much of the model a circuit restores at each size, beside random circuits and another task's circuit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.errors import InputError
from rewire.figures.curves import curve, titled
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import BAND, band, checkpoint_handles, no_data, note
from rewire.figures.scales import clipped_axis, percent_axis
from rewire.figures.style import (
    GREY,
    INK,
    ORANGE,
    PURPLE,
    blank,
    checkpoint_colours,
    checkpoint_label,
    save,
    themed,
)

MEASURES = {
    "normalised": "Normalised faithfulness f|(circuit − corrupted) / (whole − corrupted)",
    "kl": "Distance from the whole model|KL(whole ‖ circuit) (nats)",
    "kl_reverse": "The same, the other way|KL(circuit ‖ whole) (nats)",
    "kl_percentage": "KL percentage (rewards any output as far away)|closeness of KL(corrupted ‖ ·) to whole’s (%)",
    "accuracy_ratio": "Accuracy|tokens right, circuit / whole",
}
COLUMNS = (
    "circuit",
    "ranking",
    "fraction",
    "draw",
    "nll_excess_low",
    "nll_excess_high",
    "normalised",
    "normalised_low",
    "normalised_high",
    "kl",
    "kl_low",
    "kl_high",
    "kl_reverse",
    "kl_reverse_low",
    "kl_reverse_high",
    "kl_percentage",
    "kl_percentage_low",
    "kl_percentage_high",
    "accuracy_ratio",
    "accuracy_ratio_low",
    "accuracy_ratio_high",
)
LOWEST, HIGHEST = -0.5, 1.5  # normalised faithfulness beyond is cut, and said to be
IN_SAMPLE: dict[str, Any] = {"linestyle": (0, (4, 2)), "marker": "None", "linewidth": 1.2}
BEST_OF_OTHERS: dict[str, Any] = {"linestyle": (0, (3, 1, 1, 1)), "linewidth": 0.8, "zorder": 1.9}
OTHER_TASK: dict[str, Any] = {"marker": "s", "linewidth": 1.2}
RUNS: dict[str, dict[str, Any]] = {
    "clean": {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 1.5},
    "corrupted": {"color": GREY, "linewidth": 1.1, "linestyle": (0, (1, 2)), "zorder": 1.5},
}


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
    """``tables``: the kinds of circuit at every fraction, and the whole model's clean and corrupted runs."""
    out = blank(12.6, 7.0, f"Faithfulness of circuits: {name}")
    panels = out.subplots(2, 3).flatten()
    for axes, measure in zip(panels, MEASURES, strict=False):
        panel(axes, tables, measure)
    keys(panels[-1], tables, steps)
    return out


def keys(axes: Axes, tables: Mapping[str, pd.DataFrame], steps: Mapping[str, int]) -> None:
    """Two legends in the place of a panel: the checkpoints, and what is drawn of the last one alone."""
    axes.axis("off")
    colours, last = checkpoint_colours(list(tables)), list(tables)[-1]
    checkpoints: list[Any] = checkpoint_handles(colours, tables, steps)
    if len(tables) > 1:
        text = "its best random one"
        checkpoints.append(Line2D([], [], color=GREY, label=text, **BEST_OF_OTHERS))
    columns = {
        "checkpoint": (-0.15, checkpoints),
        checkpoint_label(last): (0.35, kind_handles(tables[last], colours[last])),
    }
    for title, (left, handles) in columns.items():
        box = Legend(
            axes,
            handles,
            [handle.get_label() for handle in handles],
            title=title,
            loc="upper left",
            bbox_to_anchor=(left, 1.0),
            alignment="left",
        )
        box.get_title().set_fontweight("bold")
        axes.add_artist(box)


def panel(axes: Axes, tables: Mapping[str, pd.DataFrame], measure: str) -> None:
    """One measure: every checkpoint's held-out curve and best random circuit; the last one's interval, in-sample curve, nulls and scale."""
    titled(axes, MEASURES, measure)
    axes.set_xlabel("edges kept, before pruning (% of all)")
    colours = checkpoint_colours(list(tables))
    shown = {c: t for c, t in tables.items() if measure != "normalised" or settled(t)}
    rows = {c: ranked(t, measure) for c, t in shown.items()}
    if not any(len(own) for own in rows.values()):
        no_data(axes)
    else:
        last = list(shown)[-1]
        random_band(axes, rows[last], measure)
        curve(axes, of_kind(rows[last], "other-task"), "percent", PURPLE, **OTHER_TASK)
        curve(axes, of_kind(rows[last], "circuit"), "percent", colours[last], **IN_SAMPLE)
        for c, own in rows.items():
            if c != last:
                axes.plot(*best_random(own, measure), color=colours[c], **BEST_OF_OTHERS)
            curve(axes, of_kind(own, "held-out"), "percent", colours[c], with_band=c == last)
        scaled(axes, pd.concat(rows.values()), shown[last], measure)
    left_out = [checkpoint_label(c) for c in tables if c not in shown]
    if left_out:
        note(axes, f"not {', '.join(left_out)}: corruption may not change the NLL")
    if shown and list(shown)[-1] != list(tables)[-1]:
        note(axes, f"interval and nulls of {checkpoint_label(list(shown)[-1])}")


def settled(table: pd.DataFrame) -> bool:
    """Whether corruption changes the whole model's NLL: f divides by that change."""
    low, high = table.loc[table["circuit"] == "corrupted", ["nll_excess_low", "nll_excess_high"]].iloc[0]
    return not low <= 0 <= high


def ranked(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Circuits ranked by |score|: columns circuit, draw, percent, value, low, high."""
    rows = table[(table["ranking"] == "absolute") & (table["fraction"] > 0)]
    rows = pd.DataFrame(
        {
            "circuit": rows["circuit"],
            "draw": rows["draw"],
            "percent": 100 * rows["fraction"],
            "value": rows[measure],
            "low": rows[f"{measure}_low"],
            "high": rows[f"{measure}_high"],
        }
    )
    return known(rows, "value")


def of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    return rows[rows["circuit"] == kind]


def random_band(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    """The middle 90 % of the random circuits at each fraction, and the best of them as a thin line."""
    draws = of_kind(rows, "random").groupby("percent")["value"]
    if not len(draws):
        return
    percent, best = best_random(rows, measure)
    band(axes, percent, draws.quantile(0.05), draws.quantile(0.95), ORANGE)
    axes.plot(percent, best, color=ORANGE, linewidth=0.9)


def best_random(rows: pd.DataFrame, measure: str) -> tuple[pd.Index, pd.Series]:
    """The percentages of edges, and the value of the best random circuit at each."""
    draws = of_kind(rows, "random").groupby("percent")["value"]
    best = draws.min() if measure in ("kl", "kl_reverse") else draws.max()
    return best.index, best


def scaled(axes: Axes, drawn: pd.DataFrame, table: pd.DataFrame, measure: str) -> None:
    """The axes of what is drawn, and the whole model's clean (dashed) and corrupted (dotted) run."""
    percent_axis(axes, drawn["percent"])
    for run, style in RUNS.items():
        at = table.loc[table["circuit"] == run, measure]
        if len(at) and np.isfinite(at.iloc[0]):
            axes.axhline(at.iloc[0], **style)
    if measure == "normalised":
        clipped_axis(axes, drawn["value"].to_numpy(dtype=float), LOWEST, HIGHEST)


def kind_handles(table: pd.DataFrame, colour: str) -> list[Any]:
    """What the last checkpoint's lines and bands are."""
    kinds = set(table["circuit"])
    draws = table.loc[table["circuit"] == "random", "draw"].nunique()
    handles: list[Any] = [
        Line2D([], [], color=colour, marker="o", label="held-out pairs"),
        Patch(color=colour, alpha=BAND, linewidth=0, label="95 % CI"),
        Line2D([], [], color=colour, label="the pairs that scored it", **IN_SAMPLE),
    ]
    if "other-task" in kinds:
        handles.append(Line2D([], [], color=PURPLE, label="another task's circuit", **OTHER_TASK))
    if draws:
        text = f"{draws} random circuits, 5–95 %"
        handles.append(Patch(color=ORANGE, alpha=BAND, linewidth=0, label=text))
        handles.append(Line2D([], [], color=ORANGE, linewidth=0.9, label="the best random one"))
    labels = {"clean": "whole model", "corrupted": "corrupted run"}
    return handles + [Line2D([], [], label=label, **RUNS[run]) for run, label in labels.items()]
