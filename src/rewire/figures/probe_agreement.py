"""In which parts of the model groups of prompts agree and in which they differ: the parts that lead in some group."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.frames import read_frame
from rewire.figures.panels import bars, legend, no_data, reference_line
from rewire.figures.probe_tables import row_axis
from rewire.figures.style import BLUE, GREY, ORANGE, PURPLE, blank, save, themed

COLUMNS = (
    "sites",
    "site",
    "layer",
    "head",
    "neuron",
    "mean",
    "least",
    "most",
    "leads_in",
    "groups",
    "verdict",
)
PANELS = {  # family and site -> title
    ("layers", "attention_out"): "Attention of a layer",
    ("layers", "mlp_out"): "MLP of a layer",
    ("heads", "z"): "Heads, output (z)",
    ("heads", "v"): "Heads, values (v)",
    ("heads", "pattern"): "Heads, attention (pattern)",
    ("neurons", "neuron"): "Neurons",
    ("attribution", "direct:head"): "Heads, direct attribution",
    ("attribution", "direct:mlp"): "MLPs, direct attribution",
}
VERDICTS = {"agree": BLUE, "differ": ORANGE, "open": GREY, "untested": PURPLE}
MEANING = {
    "agree": "leads in every group,\nno firm difference",
    "differ": "groups differ (q < .05)",
    "open": "leads in some groups,\nno firm difference",
    "untested": "too few prompts,\nor none with a spread",
}
ROWS = 8  # parts a panel


def draw(agreement: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of agreement; that of a study of one group is empty.

    Errors: InputError that names the table if it lacks a column.
    """
    save(figure(read_frame(agreement, COLUMNS, empty=True), name), png, svg)


@themed
def figure(agreement: pd.DataFrame, name: str) -> Figure:
    """``agreement``: a row a part that leads in some group, those that lead in most groups first."""
    tables = {
        key: agreement[(agreement["sites"] == key[0]) & (agreement["site"] == key[1])][:ROWS]
        for key in PANELS
    }
    tallest = max(max(map(len, tables.values())), 3)
    out = blank(13.5, 1.3 + 2 * (0.8 + 0.26 * tallest), f"Where groups of prompts agree and differ: {name}")
    for axes, (key, rows) in zip(out.subplots(2, len(PANELS) // 2).ravel(), tables.items(), strict=True):
        axes.set_title(PANELS[key])
        shares = key[0] != "attribution"
        axes.set_xlabel("share of logit difference recovered" if shares else "adds to LD, clean run (logits)")
        panel(axes, rows)
    handles = [Line2D([], [], color=colour, marker="o", label=MEANING[v]) for v, colour in VERDICTS.items()]
    legend(out, handles, "mean and range of groups")
    return out


def panel(axes: Axes, rows: pd.DataFrame) -> None:
    """Mean over the groups and their range, a row a part."""
    if not len(rows):
        no_data(axes, "nothing that two groups share")
        return
    for verdict, colour in VERDICTS.items():
        own = (rows["verdict"] == verdict).to_numpy()
        bars(axes, rows.loc[own, ["mean", "least", "most"]], own.nonzero()[0], colour)
    row_axis(axes, [label(row) for _, row in rows.iterrows()])
    reference_line(axes, vertical=True)


def label(row: pd.Series) -> str:
    """``7.11  8/8``: the part, and in how many groups it leads."""
    inside = [f"{row[name]:.0f}" for name in ("layer", "head", "neuron") if pd.notna(row[name])]
    return f"{'.'.join(inside)}  {row['leads_in']:.0f}/{row['groups']:.0f}"
