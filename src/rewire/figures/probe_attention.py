"""Where the leading heads look, and what looking there would add to the logit difference."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.frames import read_frame
from rewire.figures.panels import bars, legend, no_data, reference_line
from rewire.figures.probe_tables import ALL, RUNS, SUMMARY, choose, count_text, row_axis
from rewire.figures.style import GREEN, blank, save, themed

SHOWN = 6  # heads at most
ROW = 0.26  # inches a position


def draw(readings: str | Path, patches: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the means of a study's readings, heads in the order of the patch grid's summary.

    Errors: InputError that names a table that is empty or lacks a column.
    """
    save(figure(read_frame(readings, SUMMARY), read_frame(patches, SUMMARY), name), png, svg)


@themed
def figure(readings: pd.DataFrame, patches: pd.DataFrame, name: str) -> Figure:
    """``readings``: attention of all heads, outputs of the leading ones; ``patches``: what heads recover."""
    rows = readings[(readings["group"] == ALL) & readings["place"].notna()]
    outputs = rows[rows["site"] == "outputs"]
    heads = leading(outputs, choose(patches, "z", "recovered"))
    labels = list(dict.fromkeys(outputs["place"]))
    width, height = 1.6 + 2.6 * max(len(heads), 1), 1.7 + 2 * (0.6 + ROW * max(len(labels), 3))
    out = blank(max(width, 7.0), height, f"Leading heads at the last position: {name}")
    panels = out.subplots(2, max(len(heads), 1), squeeze=False, sharey=True, sharex="row")
    for (upper, lower), (layer, head, title) in zip(panels.T, heads, strict=False):
        own = rows[(rows["layer"] == layer) & (rows["head"] == head)]
        upper.set_title(title)
        attention(upper, own[own["site"] == "attention"], labels)
        added(lower, own[(own["site"] == "outputs") & (own["measure"] == "logit_diff")], labels)
    for axes in panels[:, 0]:
        axes.set_ylabel("position looked at")
    if not heads:
        for axes in panels.ravel():
            no_data(axes)
    handles = [Line2D([], [], color=colour, marker="o", label=f"{run} run") for run, colour in RUNS.items()]
    handles.append(Line2D([], [], color=GREEN, marker="o", label="at attention 1,\nclean run"))
    legend(out, handles, f"95 % CI,\n{count_text(outputs)}")
    return out


def leading(outputs: pd.DataFrame, recovered: pd.DataFrame) -> list[tuple[int, int, str]]:
    """Layer, head and title of those that were read closely, the one that recovers most first."""
    read = {(int(row.layer), int(row.head)) for row in outputs.itertuples()}
    share = {(int(row.layer), int(row.head)): row.value for row in recovered.itertuples()}
    order = sorted(read, key=lambda head: -abs(share.get(head, 0.0)))[:SHOWN]
    return [(*head, title(head, share.get(head))) for head in order]


def title(head: tuple[int, int], share: float | None) -> str:
    """``3.1 (recovers 93 %)``"""
    name = f"{head[0]}.{head[1]}"
    return name if share is None else f"{name} (recovers {100 * share:.0f} %)".replace("-", "−")


def attention(axes: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    """The head's attention on every position, in both runs."""
    for shift, (run, colour) in zip((-0.14, 0.14), RUNS.items(), strict=True):
        points(axes, rows[rows["run"] == run], labels, shift, colour)
    axes.set_xlabel("attention from the last position")
    axes.set_xlim(-0.04, 1.04)


def added(axes: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    """What the head would add if it looked there alone."""
    points(axes, rows, labels, 0, GREEN)
    axes.set_xlabel("would add to LD (logits)")
    reference_line(axes, vertical=True)


def points(axes: Axes, rows: pd.DataFrame, labels: list[str], shift: float, colour: str) -> None:
    """Means with their intervals, a row a label."""
    y = rows["place"].map({label: i for i, label in enumerate(labels)}) + shift
    bars(axes, rows[["value", "low", "high"]].to_numpy().reshape(-1, 3), y, colour)
    row_axis(axes, labels)
