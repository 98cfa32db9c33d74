"""Which MLP neurons bring the answer: share recovered against direct effect, and the leading ones by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire.figures.frames import known, read_frame
from rewire.figures.neuron_cloud import Colours, cloud, layer_colours, layer_legend, write_names
from rewire.figures.panels import bars, no_data, reference_line
from rewire.figures.probe_tables import ALL, count_text, row_axis, shown
from rewire.figures.style import blank, save, themed

COLUMNS = (
    "group", "layer", "neuron", "recovered", "recovered_low", "recovered_high", "direct", "q", "n", "promoted",
)  # fmt: skip
NAMED, TOKENS = 16, 4  # neurons by name, and tokens of each
RINGED = 5  # of them are ringed in the cloud
AXES = "direct", "recovered"  # of the cloud
APART = 0.07  # of the axes, between two names in the cloud


def draw(neurons: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of neurons. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(neurons, COLUMNS), name), png, svg)


@themed
def figure(neurons: pd.DataFrame, name: str) -> Figure:
    """``neurons``: a row a group and neuron; drawn is the group of all prompts."""
    rows = neurons[neurons["group"] == ALL]
    colours = layer_colours(rows)
    best = leading(rows)
    out = blank(12.4, max(4.4, 1.4 + 0.24 * len(best)), f"MLP neurons patched from the clean run: {name}")
    left, named = out.subplots(1, 2, width_ratios=[1.25, 1])
    scatter(left, rows, best[:RINGED], colours)
    forest(named, best, colours)
    layer_legend(out, rows, colours)
    return out


def leading(rows: pd.DataFrame) -> pd.DataFrame:
    """The named neurons (each layer's leading ones have tokens) of largest |share recovered|, the largest first."""
    found = known(rows[rows["promoted"].notna()], "recovered")
    order = found["recovered"].abs().sort_values(ascending=False, kind="stable").index
    return found.reindex(order)[:NAMED]


def scatter(axes: Axes, rows: pd.DataFrame, best: pd.DataFrame, colours: Colours) -> None:
    """Share recovered against direct effect; those that change nothing for certain are grey, the largest are ringed."""
    drawn = known(known(rows, "recovered"), "direct")
    axes.set_title(f"{len(rows):,} neurons, one at a time, over {count_text(rows)}")
    axes.set_xlabel("direct effect on the logit difference (logits)")
    axes.set_ylabel("share of logit difference recovered")
    if not len(drawn):
        no_data(axes)
        return
    cloud(axes, drawn, best, *AXES, colours)
    axes.margins(x=0.12, y=0.06)
    write_names(axes, apart(axes, best), *AXES)


def apart(axes: Axes, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of ``rows`` whose names would not cover one another, the first ones first."""
    kept: list[np.ndarray] = []
    for at in rows[list(AXES)].to_numpy(dtype=float):
        place = axes.transAxes.inverted().transform(axes.transData.transform(at))
        far = all(abs(place[1] - other[1]) > APART or abs(place[0] - other[0]) > 2 * APART for other in kept)
        kept.append(place if far else np.full(2, np.inf))
    return rows[[bool(np.isfinite(place[0])) for place in kept]]


def forest(axes: Axes, best: pd.DataFrame, colours: Colours) -> None:
    """Share recovered with its interval, beside the tokens whose logits the neuron raises most."""
    axes.set_title(f"{len(best)} leading neurons, and tokens they promote")
    axes.set_xlabel("share recovered (95 % CI)")
    if not len(best):
        no_data(axes)
        return
    best = best.assign(y=range(len(best)))
    for layer, rows in best.groupby("layer"):
        bars(axes, rows[["recovered", "recovered_low", "recovered_high"]], rows["y"], colours[layer])
    row_axis(axes, [f"{row.layer}.{row.neuron}  {tokens(row.promoted)}" for row in best.itertuples()])
    axes.set_ylabel("layer.neuron")
    reference_line(axes, vertical=True)


def tokens(promoted: Iterable[str]) -> str:
    """The first few promoted tokens."""
    return " ".join(shown(str(token))[:12] for token in list(promoted)[:TOKENS])
