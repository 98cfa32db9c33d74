"""When fine-tuning changed what: every measure against the training step, a curve a layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from rewire.figures.curves import SUMMARY, choose, curve, interval_text
from rewire.figures.frames import read_frame
from rewire.figures.panels import legend, no_data, reference_line
from rewire.figures.scales import PLAIN
from rewire.figures.style import INK, blank, checkpoint_tick, save, themed

COLUMNS = ("checkpoint", "step", *SUMMARY)
# measure -> family, site (all if None), title and y label
PANELS: dict[str, tuple[str, str | None, str, str]] = {
    "cosine_distance": ("layers", "residual", "Hidden states, cosine distance", "1 − cosine (0: same)"),
    "cka": ("layers", "residual", "Hidden states, linear CKA", "CKA (1: same)"),
    "rsa": ("layers", "residual", "Hidden states, RSA", "correlation (1: same)"),
    "norm_change": ("layers", "residual", "Residual stream, L2 norm", "(tuned − base) / base"),
    "weight_change": ("weights", None, "Weights", "‖tuned − base‖ / ‖base‖, mean"),
    "attention_kl": ("layers", "attention", "Attention", "KL(tuned ‖ base) (nats)"),
    "entropy_change": ("layers", "attention", "Attention entropy", "tuned − base (nats)"),
    "gini_change": ("layers", "attention", "Attention inequality", "Gini, tuned − base"),
    "share_of_heads_with_falling_entropy": ("model", "attention", "Heads whose entropy falls", "share"),
    "share_of_changed_neurons": ("neurons", "mlp_neurons", "Neurons with q < .05", "share"),
    "mean_absolute_cohens_d": ("neurons", "mlp_neurons", "Neurons, mean effect size", "|Cohen's d|"),
    "gradient_norm": ("training", None, "Gradient norm", "L2 norm"),
}
SHARES = ("norm_change", "weight_change", "share_of_heads_with_falling_entropy", "share_of_changed_neurons")
SIGNED = ("norm_change", "entropy_change", "gini_change")
FEW = 6  # layers: with more the bands would hide each other
CLOSEST = 0.14  # share of the axis between two labelled steps


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path, named: bool = False) -> None:
    """Draw a trajectories table; ``named``: its checkpoints have names and no training steps. Errors: InputError that names it if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name, named), png, svg)


@themed
def figure(table: pd.DataFrame, name: str, named: bool = False) -> Figure:
    """``table``: the rows of every checkpoint's summary, and its weights', neurons' and training's."""
    out = blank(
        13.6, 8.4, f"Change from the base model by {'checkpoint' if named else 'training step'}: {name}"
    )
    panels = out.subplots(3, 4).ravel()
    layers = sorted(table["layer"].dropna().astype(int).unique())
    colours = dict(zip(layers, sns.color_palette("viridis", len(layers)).as_hex(), strict=True))
    steps = sorted(table["step"][table["checkpoint"].notna()].unique())
    for axes, measure in zip(panels, PANELS, strict=True):
        panel(axes, table, measure, colours)
        if named:
            checkpoint_axis(axes, table)
        else:
            step_axis(axes, steps)
    handles = [Line2D([], [], color=c, marker="o", label=str(layer)) for layer, c in colours.items()]
    whole = Line2D([], [], color=INK, marker="o", label="whole model")
    legend(out, [*handles, whole], "layer (residual stream:\n0 is the embedding)")
    text = interval_text(table).replace("\n", " ")
    out.supxlabel(f"attention: means over heads; weights: means over matrices; bands: {text}", fontsize=8.5)
    return out


def panel(axes: Axes, table: pd.DataFrame, measure: str, colours: dict[int, str]) -> None:
    """One measure: a curve a layer, or one for the whole model."""
    family, site, title, label = PANELS[measure]
    axes.set_title(title)
    axes.set_ylabel(label)
    rows = choose(table, family, measure, site)
    if family == "weights":
        rows = rows.groupby(["step", "layer"], as_index=False)[["value", "low", "high"]].mean()
    if rows["layer"].notna().any():
        for layer, own in rows.groupby("layer"):
            curve(axes, own, "step", colours[int(layer)], with_band=len(colours) - 1 <= FEW)
    else:
        curve(axes, rows, "step", INK, with_band=True, marker="" if family == "training" else "o")
    if measure in SHARES:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    if measure in SIGNED and axes.lines:
        reference_line(axes)


def step_axis(axes: Axes, steps: list[int]) -> None:
    """Ticks at the checkpoints; a log axis where the steps span a decade."""
    axes.set_xlabel("training step")
    if not axes.lines:
        no_data(axes)
        return
    logarithmic = bool(steps) and steps[0] > 0 and steps[-1] >= 10 * steps[0]
    if logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(legible(steps, logarithmic)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PLAIN)


def checkpoint_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Names of the checkpoints at their places, which are their numbers."""
    axes.set_xlabel("checkpoint")
    if not axes.lines:
        no_data(axes)
        return
    places = table[table["checkpoint"].notna()].drop_duplicates("checkpoint").sort_values("step")
    axes.set_xticks(places["step"].to_list(), [checkpoint_tick(c) for c in places["checkpoint"]])
    axes.tick_params(axis="x", labelrotation=40 if len(places) > 2 else 0)
    axes.margins(x=0.2)


def legible(steps: list[int], logarithmic: bool) -> list[int]:
    """Those of ``steps``, the last of them first, whose labels do not run into each other."""
    place = np.log(steps) if logarithmic else np.array(steps, dtype=float)
    gap = np.ptp(place) * CLOSEST if len(steps) > 1 else 0.0
    kept: list[int] = []
    for i in reversed(range(len(steps))):
        if not kept or place[kept[-1]] - place[i] >= gap:
            kept.append(i)
    return [steps[i] for i in reversed(kept)]
