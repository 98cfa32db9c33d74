"""What trainable parameters buy: quality against their number, a point a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rewire.figures.frames import known
from rewire.figures.panels import no_data, note
from rewire.figures.strategies import BASE, COLUMNS, colours, in_order, read_bakeoff, sample_size
from rewire.figures.style import INK, blank, save, themed

MEASURES = {"rouge1": ("ROUGE-1", "F (%)"), "facts": ("Facts right", "of the names and numbers written (%)")}
MATCHED = 0.05  # budgets that differ by less stand side by side
NARROWEST = 0.6  # decades that the axis spans at least
APART = 0.17  # of the width: ticks whose labels do not overlap
LINE = 0.075  # of the height of a panel: a label
STEP = 0.034  # of the width of a panel: from one strategy to the next beside it
CLOSEST = 0.018


def draw(table: str | Path, runs: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a bake-off's tables. Errors: InputError that names the one that is empty or lacks a column."""
    save(figure(*read_bakeoff(table, runs, COLUMNS, list(MEASURES)), name), png, svg)


@dataclass(frozen=True)
class Budgets:
    """Strategies in groups of about equal budget, and where the groups are on the axis (log10 of parameters)."""

    groups: list[list[str]]
    centres: list[float]

    @property
    def span(self) -> float:
        """Decades of the axis."""
        return 1.4 * max(NARROWEST, max(self.centres) - min(self.centres))

    @property
    def limits(self) -> tuple[float, float]:
        middle = (max(self.centres) + min(self.centres)) / 2
        return float(10 ** (middle - self.span / 2)), float(10 ** (middle + self.span / 2))

    def places(self) -> dict[str, float]:
        """x of each strategy: side by side around its group's middle, closer where another group is near."""
        found = {}
        for group, centre in zip(self.groups, self.centres, strict=True):
            room = min((abs(centre - other) for other in self.centres if other != centre), default=self.span)
            step = self.span * max(CLOSEST, min(STEP, 0.8 * room / self.span / len(group)))
            for i, name in enumerate(group):
                found[name] = float(10 ** (centre + step * (i - (len(group) - 1) / 2)))
        return found


@themed
def figure(table: pd.DataFrame, runs: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a strategy and measure, its interval and its trainable parameters; ``runs``: a row a run."""
    out = blank(11.4, 5.0, f"LoRA bake-off, quality by budget: {name} ({sample_size(table)}; mean, 95 % CI)")
    shades = colours(in_order(table["strategy"]))
    for axes, (measure, (heading, unit)) in zip(
        out.subplots(1, len(MEASURES)), MEASURES.items(), strict=True
    ):
        axes.set_title(heading)
        axes.set_ylabel(unit)
        axes.set_xlabel("trainable parameters (log scale)")
        rows = known(table[table["measure"] == measure], "mean").set_index("strategy")
        trained = known(rows, "parameters")
        if not len(trained):
            no_data(axes)
            continue
        budgets = matched(trained["parameters"].astype(float).to_dict())
        parameter_axis(axes, budgets, trained)
        panel(axes, rows, runs.set_index("strategy")[measure], budgets, shades)
    return out


def matched(parameters: Mapping[str, float]) -> Budgets:
    """The smallest budget first; in a group the order given."""
    groups: list[list[str]] = []
    for name in sorted(parameters, key=lambda name: parameters[name]):
        if groups and parameters[name] <= (1 + MATCHED) * parameters[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    groups = [sorted(group, key=list(parameters).index) for group in groups]
    return Budgets(
        groups, [float(np.mean([np.log10(parameters[name]) for name in group])) for group in groups]
    )


def parameter_axis(axes: Axes, budgets: Budgets, rows: pd.DataFrame) -> None:
    """A tick a budget, with its number and its share of all parameters; where two would overlap, the larger group's."""
    axes.set_xscale("log")
    axes.set_xlim(*budgets.limits)
    ticks: dict[float, str] = {}
    by_size = sorted(zip(budgets.groups, budgets.centres, strict=True), key=lambda item: -len(item[0]))
    for group, centre in by_size:
        if all(abs(centre - other) > APART * budgets.span for other in ticks):
            number, share = rows.loc[group, ["parameters", "parameter_share"]].astype(float).median()
            ticks[centre] = f"{number:,.0f}\n({'all' if share == 100 else f'{share:.2g} %'})"
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(10 ** np.array(list(ticks)), list(ticks.values()))
    if max(len(group) for group in budgets.groups) > 1:
        note(axes, f"budgets within {100 * MATCHED:.0f} % of each other are drawn side by side")


def panel(
    axes: Axes, rows: pd.DataFrame, runs: pd.Series, budgets: Budgets, shades: Mapping[str, str]
) -> None:
    """A point, its interval and its runs a strategy; the base, which trains nothing, is a line."""
    points: dict[str, tuple[float, float]] = {}
    for name, x in budgets.places().items():
        value, low, high = rows.loc[name, ["mean", "low", "high"]].astype(float)
        if np.isfinite([low, high]).all():
            axes.vlines(x, low, high, color=shades[name], linewidth=1.5, zorder=3)
        axes.plot(x, value, marker="o", markersize=6, color=shades[name], zorder=4)
        seeds = runs[runs.index == name].to_numpy(dtype=float)
        beside = np.full(len(seeds), x * 10 ** (0.4 * STEP * budgets.span))
        axes.scatter(beside, seeds, s=8, color=shades[name], alpha=0.6, linewidths=0, zorder=2.5)
        points[name] = x, value
    if BASE in rows.index:
        value = float(rows.loc[BASE, "mean"])
        axes.axhline(value, color=shades[BASE], linestyle=(0, (4, 3)), linewidth=1)
        points[BASE] = np.inf, value
    axes.margins(y=0.08)
    labels(axes, points, shades)


def labels(axes: Axes, points: Mapping[str, tuple[float, float]], shades: Mapping[str, str]) -> None:
    """Names beside the panel, moved apart, each with a faint line from its point."""
    low, high = axes.get_ylim()
    names = sorted(points, key=lambda name: points[name][1])
    wanted = [(points[name][1] - low) / (high - low) for name in names]
    for name, height in zip(names, spaced(wanted, LINE), strict=True):
        x, y = points[name]
        text: dict[str, Any] = {"color": INK, "va": "center", "ha": "left", "fontsize": 8.5}
        axes.text(
            1.04, height, name if name != BASE else "base: no training", transform=axes.transAxes, **text
        )
        at = (
            axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
            if np.isfinite(x)
            else 1.0
        )
        lead: dict[str, Any] = {
            "color": shades[name],
            "linewidth": 0.6,
            "alpha": 0.6,
            "clip_on": False,
            "zorder": 1,
        }
        axes.plot([at, 1.03], [(y - low) / (high - low), height], transform=axes.transAxes, **lead)
    axes.set_ylim(low, high)


def spaced(wanted: Sequence[float], gap: float) -> list[float]:
    """Rising heights at least ``gap`` apart, near those ``wanted`` (rising) and inside 0..1 as far as they fit."""
    gap = min(gap, 1 / max(1, len(wanted) - 1))
    heights: list[float] = []
    for i, height in enumerate(wanted):
        room = 1 - gap * (len(wanted) - 1 - i)
        floor = heights[-1] + gap if heights else 0.0
        heights.append(max(floor, min(height, room)))
    return heights
