"""How the bake-off's runs learned: validation loss step by step, and the learning rates that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rewire.errors import InputError
from rewire.figures.frames import known, read_frame
from rewire.figures.panels import band, legend, no_data, note, whole_numbers
from rewire.figures.strategies import LINES, colours, in_order
from rewire.figures.style import GREY, blank, save, themed

TRAINING = ("step", "validation_loss")
PLAN = ("strategy", "seed", "best_step", "best_loss")
TUNING = ("strategy", "learning_rate", "best_loss", "chosen")

Name = tuple[str, int]  # strategy, seed


def draw(
    folders: Mapping[Name, str | Path],
    tuning: Sequence[str | Path],
    name: str,
    png: str | Path,
    svg: str | Path,
) -> None:
    """Draw the runs in ``folders`` (training.parquet, plan.parquet) and their ``tuning`` tables, one a strategy.

    Errors: InputError that names the table that is empty or lacks a column.
    """
    if not folders:
        raise InputError("no LoRA runs to draw: lora.strategies is empty")
    losses = [
        read_frame(Path(folder) / "training.parquet", TRAINING).assign(strategy=strategy, seed=seed)
        for (strategy, seed), folder in folders.items()
    ]
    plans = [read_frame(Path(folder) / "plan.parquet", PLAN) for folder in folders.values()]
    tried = [read_frame(table, TUNING) for table in tuning]
    rates = pd.concat(tried) if tried else pd.DataFrame(columns=list(TUNING))
    save(figure(pd.concat(losses), pd.concat(plans), rates, name), png, svg)


@themed
def figure(losses: pd.DataFrame, plans: pd.DataFrame, tuning: pd.DataFrame, name: str) -> Figure:
    """``losses``: strategy, seed, step, validation_loss; ``plans``: a row a run; ``tuning``: a row a rate tried."""
    order = in_order(losses["strategy"])
    shades = colours(order)
    dashes = {strategy: LINES[i % len(LINES)] for i, strategy in enumerate(order)}
    out = blank(11.0, max(5.4, 1.6 + 0.42 * len(order)), f"LoRA bake-off, training: {name}")
    panels = out.subplot_mosaic(
        [["all", "rates"], ["near", "rates"]], width_ratios=[1.9, 1], height_ratios=[1, 1.5]
    )
    panels["all"].set_title("Validation loss (line: mean over seeds; band: their range)")
    panels["near"].set_title("The same near the best losses")
    for axes in (panels["all"], panels["near"]):
        loss_panel(axes, losses, plans, shades, dashes)
    closer(panels["near"], losses, plans)
    tuning_panel(panels["rates"], tuning, shades, dashes)
    lines = [
        Line2D([], [], color=shades[s], linestyle=dashes[s], label=s + best(plans[plans["strategy"] == s]))
        for s in order
    ]
    kept: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markerfacecolor": "white",
        "markeredgecolor": GREY,
    }
    chosen: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": GREY, "markersize": 7}
    lines += [
        Line2D([], [], **kept, label="kept step of a run"),
        Line2D([], [], **chosen, label="chosen rate"),
    ]
    legend(out, lines, "strategy and best loss\n(mean over seeds)")
    return out


def best(plans: pd.DataFrame) -> str:
    value = plans["best_loss"].astype(float).mean()
    return f"\n{value:.3f}" if np.isfinite(value) else ""


def loss_panel(
    axes: Axes,
    losses: pd.DataFrame,
    plans: pd.DataFrame,
    shades: Mapping[str, str],
    dashes: Mapping[str, Any],
) -> None:
    """The mean while all seeds of a strategy run, then each that goes on; the loss before training is only said."""
    axes.set_xlabel("training step")
    axes.set_ylabel("loss (nats a token)")
    measured = known(losses, "validation_loss")
    trained = measured[measured["step"] > 0]
    if not len(trained):
        no_data(axes)
        return
    for strategy, dash in dashes.items():
        style: dict[str, Any] = {"color": shades[strategy], "linestyle": dash}
        own = trained[trained["strategy"] == strategy]
        seeds = own.pivot_table(index="step", columns="seed", values="validation_loss")
        together = seeds.dropna()
        marker = "." if len(together) == 1 else ""
        axes.plot(together.index, together.mean(axis=1), marker=marker, zorder=3, **style)
        if seeds.shape[1] > 1:
            band(axes, together.index, together.min(axis=1), together.max(axis=1), shades[strategy])
            for seed in seeds:
                later = seeds[seed].loc[together.index.max() if len(together) else 0 :].dropna()
                axes.plot(later.index, later, alpha=0.55, zorder=2, **{**style, "linewidth": 0.8})
        kept = plans[plans["strategy"] == strategy]
        face: dict[str, Any] = {
            "markerfacecolor": "white",
            "markeredgecolor": shades[strategy],
            "markeredgewidth": 1.2,
        }
        axes.plot(kept["best_step"], kept["best_loss"], linestyle="none", marker="o", zorder=4, **face)
    whole_numbers(axes)


def closer(axes: Axes, losses: pd.DataFrame, plans: pd.DataFrame) -> None:
    """Where the kept losses are, and twice their range above; the loss before training is told, it is far off."""
    best = plans["best_loss"].astype(float).dropna()
    measured = known(losses, "validation_loss")
    trained = measured[measured["step"] > 0]["validation_loss"]
    if not len(best) or not len(trained):
        return
    margin = max(best.max() - best.min(), 0.03 * (trained.max() - best.min())) or 0.1
    axes.set_ylim(best.min() - 0.25 * margin, best.max() + 2 * margin)
    before = measured[measured["step"] == 0]["validation_loss"]
    if len(before):
        low, high = f"{before.min():.3f}", f"{before.max():.3f}"
        note(axes, f"loss before training: {low if low == high else f'{low} to {high}'}")


def tuning_panel(
    axes: Axes,
    tuning: pd.DataFrame,
    shades: Mapping[str, str],
    dashes: Mapping[str, Any],
) -> None:
    """Best validation loss against learning rate; the chosen rate's marker is larger."""
    axes.set_title("Learning rates tried (first seed)")
    axes.set_xlabel("learning rate (log scale)")
    axes.set_ylabel("best loss (nats a token)")
    measured = known(tuning, "best_loss")
    if not len(measured):
        no_data(axes)
        return
    axes.set_xscale("log")
    for strategy, dash in dashes.items():
        own = measured[measured["strategy"] == strategy].sort_values("learning_rate")
        style: dict[str, Any] = {"color": shades[strategy], "marker": "o"}
        axes.plot(own["learning_rate"], own["best_loss"], linestyle=dash, markersize=3.5, **style)
        chosen = own[own["chosen"].astype(bool)]
        axes.plot(
            chosen["learning_rate"], chosen["best_loss"], linestyle="none", markersize=7, zorder=3, **style
        )
    rates = sorted(set(tuning["learning_rate"].astype(float)))
    if len(rates) <= 6:
        axes.xaxis.set_major_locator(FixedLocator(rates))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="x", labelrotation=30 if len(rates) > 3 else 0)
    axes.set_xlim(rates[0] / 1.6, rates[-1] * 1.6)
