"""Which MLP neurons bring the answer: share recovered against direct effect, and the leading ones by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rewire.figures.curves import SIGNIFICANT
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import bars, legend, no_data, reference_line
from rewire.figures.probe_tables import ALL, count_text, row_axis, shown
from rewire.figures.style import FAINT, INK, blank, save, themed

COLUMNS = (
    "group", "layer", "neuron", "recovered", "recovered_low", "recovered_high", "direct", "q", "n", "promoted",
)  # fmt: skip
NAMED, TOKENS = 16, 4  # neurons by name, and tokens of each
RINGED = 5  # of them are ringed in the cloud
APART = 0.07  # of the axes, between two names in the cloud


def draw(neurons: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of neurons. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(neurons, COLUMNS), name), png, svg)


@themed
def figure(neurons: pd.DataFrame, name: str) -> Figure:
    """``neurons``: a row a group and neuron; drawn is the group of all prompts."""
    rows = neurons[neurons["group"] == ALL]
    layers = sorted(rows["layer"].unique())
    colours = dict(zip(layers, sns.color_palette("viridis", len(layers)).as_hex(), strict=True))
    best = leading(rows)
    out = blank(12.4, max(4.4, 1.4 + 0.24 * len(best)), f"MLP neurons patched from the clean run: {name}")
    cloud, named = out.subplots(1, 2, width_ratios=[1.25, 1])
    scatter(cloud, rows, best[:RINGED], colours)
    forest(named, best, colours)
    handles = [
        Line2D([], [], linestyle="none", marker="o", color=colour, label=changed(rows, layer))
        for layer, colour in colours.items()
    ]
    handles.append(Line2D([], [], linestyle="none", marker="o", color=FAINT, label="q ≥ .05, or no test"))
    legend(out, handles, "layer, neurons with q < .05")
    return out


def leading(rows: pd.DataFrame) -> pd.DataFrame:
    """The named neurons (each layer's leading ones have tokens) of largest |share recovered|, the largest first."""
    found = known(rows[rows["promoted"].notna()], "recovered")
    order = found["recovered"].abs().sort_values(ascending=False, kind="stable").index
    return found.reindex(order)[:NAMED]


def changed(rows: pd.DataFrame, layer: int) -> str:
    """``3 (412 of 512)``"""
    own = rows[rows["layer"] == layer]
    return f"{layer} ({int((own['q'] < SIGNIFICANT).sum()):,} of {len(own):,})"


def scatter(axes: Axes, rows: pd.DataFrame, best: pd.DataFrame, colours: dict[int, str]) -> None:
    """Share recovered against direct effect; those that change nothing for certain are grey, the largest are ringed."""
    drawn = known(known(rows, "recovered"), "direct")
    axes.set_title(f"{len(rows):,} neurons, one at a time, over {count_text(rows)}")
    axes.set_xlabel("direct effect on the logit difference (logits)")
    axes.set_ylabel("share of logit difference recovered")
    if not len(drawn):
        no_data(axes)
        return
    firm = drawn["q"] < SIGNIFICANT
    shades = np.where(firm, drawn["layer"].map(colours), FAINT)
    order = np.argsort(firm.to_numpy(), kind="stable")  # grey below
    axes.scatter(
        drawn["direct"].to_numpy()[order],
        drawn["recovered"].to_numpy()[order],
        c=shades[order],
        s=9,
        alpha=0.7,
        linewidths=0,
        rasterized=len(drawn) > 5000,
    )
    axes.scatter(best["direct"], best["recovered"], s=30, facecolors="none", edgecolors=INK, linewidths=0.8)
    axes.margins(x=0.12, y=0.06)
    for row in apart(axes, best).itertuples():
        axes.annotate(
            f"{row.layer}.{row.neuron}",
            (row.direct, row.recovered),
            (5, 4),
            textcoords="offset points",
            fontsize=8.5,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
        )
    reference_line(axes)
    reference_line(axes, vertical=True)


def apart(axes: Axes, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of ``rows`` whose names would not cover one another, the first ones first."""
    kept: list[np.ndarray] = []
    for at in rows[["direct", "recovered"]].to_numpy(dtype=float):
        place = axes.transAxes.inverted().transform(axes.transData.transform(at))
        far = all(abs(place[1] - other[1]) > APART or abs(place[0] - other[0]) > 2 * APART for other in kept)
        kept.append(place if far else np.full(2, np.inf))
    return rows[[bool(np.isfinite(place[0])) for place in kept]]


def forest(axes: Axes, best: pd.DataFrame, colours: dict[int, str]) -> None:
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
