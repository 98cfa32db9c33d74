"""How much of a task's circuit changes from checkpoint to checkpoint, nodes and edges, beside the noise floor."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import BAND, band, legend, no_data
from rewire.figures.sequential_runs import PLACE, main_variants, spelled, tasks_of
from rewire.figures.style import BLUE, GREY, PURPLE, blank, save, themed

FLOORS = ("floor", "reference_floor")
COLUMNS = (
    *PLACE,
    "reference",
    "measure",
    "value",
    "low",
    "high",
    *(f"{name}{end}" for name in FLOORS for end in ("", "_low", "_high")),
)
KINDS = {"edge_turnover": ("edges", BLUE, "o"), "node_turnover": ("nodes", PURPLE, "s")}
FLOOR_BAND = 0.11  # opacity: under those of the intervals


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the table of all runs' changes. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a run, task, step, reference and measure. A row of panels a task: learned alone, then while others are."""
    table = table[(table["reference"] == "previous") & table["measure"].isin(list(KINDS))]
    tasks, variants = tasks_of(table), main_variants(table)
    columns = [None, *variants]
    out = blank(
        3.3 * len(columns) + 2.6, 1.9 * len(tasks) + 1.3, f"Change of a task's circuit by checkpoint: {name}"
    )
    panels = out.subplots(len(tasks), len(columns), squeeze=False, sharey=True)
    for task, row in zip(tasks, panels, strict=True):
        row[0].set_ylabel(f"{spelled(task)}\nchanged, |A△B| / |A|")
        for variant, axes in zip(columns, row, strict=True):
            own = table[(table["task"] == task) & (table["first"] == task)]
            if variant is None:
                own = own[own["kind"] == "single"]
            else:
                own = own[(own["kind"] == "sequential") & (own["variant"] == variant)]
            changes(axes, own)
    for variant, axes in zip(columns, panels[0], strict=True):
        axes.set_title("while it is learned" if variant is None else f"while another is ({variant})")
    legend(out, handles(bool(variants)))
    return out


def changes(axes: Axes, rows: pd.DataFrame) -> None:
    """Edges and nodes: mean over the runs, each run thin; behind them the noise floors."""
    axes.set_xlabel("training step (evenly spaced)")
    steps = sorted(known(rows, "value")["step"].unique())
    if not steps:
        no_data(axes, shared=True)
        axes.set_xticks([])
        return
    places = {step: i for i, step in enumerate(steps)}
    for measure, (_, colour, marker) in KINDS.items():
        own = known(rows[rows["measure"] == measure], "value")
        own = own.assign(place=own["step"].map(places)).sort_values("place")
        floors(axes, own, colour)
        several = own["run"].nunique() > 1
        for _, run in own.groupby("run", sort=False):
            if several:
                axes.plot(run["place"], run["value"], color=colour, linewidth=0.7, alpha=0.35)
            else:
                band(axes, run["place"], run["low"], run["high"], colour)
        mean = own.groupby("place")["value"].mean()
        axes.plot(mean.index, mean, color=colour, marker=marker)
    axes.set_xticks(range(len(steps)), [f"{step:,}" for step in steps])
    axes.set_xlim(-0.35, len(steps) - 0.65)


def floors(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """What two samples of the examples of one model differ by: both checkpoints' 5th to 95th percentile, and their mean."""
    if not len(known(rows, "floor")):
        return
    low, high = (rows[[f"{name}_{end}" for name in FLOORS]] for end in ("low", "high"))
    found = pd.DataFrame(
        {"place": rows["place"], "low": low.min(axis=1), "high": high.max(axis=1), "mean": rows[list(FLOORS)].mean(axis=1)}
    )  # fmt: skip
    found = found.groupby("place").mean()
    axes.fill_between(
        found.index, found["low"], found["high"], color=colour, alpha=FLOOR_BAND, linewidth=0, zorder=1
    )
    axes.plot(found.index, found["mean"], color=colour, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1.4)


def handles(several: bool) -> list[Line2D | Patch]:
    out: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, label=label) for label, colour, marker in KINDS.values()
    ]
    if several:
        out.append(
            Line2D([], [], color=GREY, linewidth=0.7, alpha=0.5, label="each second task (mean in bold)")
        )
    out.append(Patch(color=GREY, alpha=BAND, linewidth=0, label="one run: 95 % interval"))
    floor = "noise floor: the same model, other\nexamples (mean; faint band: 5–95 %)"
    out.append(Line2D([], [], color=GREY, linewidth=1, linestyle=(0, (1, 1.5)), label=floor))
    return out
