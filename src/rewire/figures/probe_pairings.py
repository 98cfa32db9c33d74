"""Do groups of prompts use the same parts of the model? Their profiles, alike ones together, and how they correlate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.head_map import largest, numbers
from rewire.figures.panels import OWN_TICKS, no_data
from rewire.figures.probe_tables import SHARE
from rewire.figures.style import DIVERGING, FAINT, INK, blank, save, themed
from rewire.probes.comparison import NEURONS, SUMMARY
from rewire.probes.profiles import Profile, profiles

PAIRINGS = ("measure", "sites", "group", "other", "place", "other_place", "pearson", "n")
FAMILIES = {
    "layers": "Attention and MLP of each layer, all positions together",
    "heads": "Heads, all positions together",
    "components": "Components, at the positions that all groups have",
    "neurons": "Neurons",
    "attribution": "Direct attribution to heads and MLPs",
}
SHORT = {
    "residual_pre": "residual",
    "residual_post": "leaving",
    "attention_out": "attention",
    "mlp_out": "MLP",
    "direct:head": "heads",
    "direct:mlp": "MLPs",
}
WRITTEN = "adds to the logit difference, clean run (logits)"
ANNOTATED = 12  # groups: with more the numbers would not be legible
COLUMNS = 400  # of a profile: of more (neurons) those of largest |value| in some group
LEVEL = 5  # names that fit under a profile without being turned
LIMIT = 1.5  # the end of the colour scale of shares, at most


def draw(
    summary: str | Path,
    neurons: str | Path,
    readings: str | Path,
    pairings: str | Path,
    name: str,
    png: str | Path,
    svg: str | Path,
) -> None:
    """Draw a study group by group; a study of one group has no pairings.

    Errors: InputError that names a table that lacks a column, or one of the first three that is empty.
    """
    tables = read_frame(summary, SUMMARY), read_frame(neurons, NEURONS), read_frame(readings, SUMMARY)
    save(figure(profiles(*tables), read_frame(pairings, PAIRINGS, empty=True), name), png, svg)


@themed
def figure(found: Iterable[Profile], pairings: pd.DataFrame, name: str) -> Figure:
    """``found``: what each group uses; ``pairings``: correlation of every two groups, and where they stand."""
    count = max(pairings["group"].nunique(), 2)
    square = 2.6 + 0.42 * count
    height = 1.0 + len(FAMILIES) * max(2.1, 1.4 + 0.3 * count)
    out = blank(9.0 + square, height, f"Groups of prompts side by side: {name}")
    panels = out.subplots(len(FAMILIES), 2, width_ratios=[9.0, square])
    own = {one.family: one for one in found}
    for (left, right), (family, title) in zip(panels, FAMILIES.items(), strict=True):
        rows = pairings[pairings["sites"] == family]
        left.set_title(title)
        if not len(rows):
            for axes in (left, right):
                no_data(axes, "nothing that two groups share")
            continue
        groups = rows.drop_duplicates("group").sort_values("place")["group"].tolist()
        table = own[family].table().loc[groups]
        drawn = leading(table)
        more = "" if drawn.shape == table.shape else f", the {drawn.shape[1]:,} largest of {table.shape[1]:,}"
        left.set_title(f"{title}{more}: {WRITTEN if family == 'attribution' else SHARE}")
        profile(left, drawn, groups, limited=family != "attribution")
        correlation(right, rows, groups)
    return out


def leading(table: pd.DataFrame) -> pd.DataFrame:
    """At most COLUMNS places of ``table`` [groups, places], in their order: site, position, layer."""
    size = table.abs().max().to_numpy()
    kept = table.iloc[:, np.sort(np.argsort(-size, kind="stable")[:COLUMNS])]
    sites = list(dict.fromkeys(table.columns.get_level_values("site")))
    order = sorted(kept.columns, key=lambda column: (sites.index(column[0]), column[4], *column[1:4]))
    return kept[order]


def profile(axes: Axes, wide: pd.DataFrame, groups: Sequence[str], limited: bool) -> None:
    """A row a group; a thin line and a name where another site or position begins. ``limited``: shares."""
    values = wide.to_numpy(dtype=float)
    limit = min(LIMIT, largest(values)) if limited else largest(values)
    axes.set_facecolor(FAINT)
    bar = {"label": "recovered" if limited else "logits"}
    sns.heatmap(values, ax=axes, cmap=DIVERGING, norm=Normalize(-limit, limit), cbar_kws=bar, **OWN_TICKS)
    blocks = [(column[0], column[4]) for column in wide.columns]
    starts = [i for i, block in enumerate(blocks) if i == 0 or block != blocks[i - 1]]
    for start in starts[1:]:
        axes.axvline(start, color=INK, linewidth=0.7)
    ends = [*starts[1:], len(blocks)]
    names = [f"{SHORT.get(site, site)} {place}".strip() for site, place in (blocks[i] for i in starts)]
    axes.set_xticks([(a + b) / 2 for a, b in zip(starts, ends, strict=True)], names)
    axes.tick_params(axis="x", rotation=90 if len(starts) > LEVEL else 0, length=0)
    axes.set_yticks([i + 0.5 for i in range(len(groups))], groups, rotation=0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("site (and position), layers, heads and neurons from left to right")
    axes.grid(False)


def correlation(axes: Axes, rows: pd.DataFrame, groups: Sequence[str]) -> None:
    """Pearson correlation of every two groups, alike ones together."""
    values = rows.pivot_table("pearson", "group", "other", dropna=False).reindex(index=groups, columns=groups)
    table = values.to_numpy(dtype=float)
    few = len(groups) <= ANNOTATED
    axes.set_facecolor(FAINT)
    sns.heatmap(
        table,
        ax=axes,
        cmap=DIVERGING,
        norm=Normalize(-1, 1),
        annot=np.char.replace(numbers(table, True), "+nan", "") if few else False,
        fmt="",
        annot_kws={"fontsize": 7.5},
        cbar_kws={"label": "Pearson"},
        **OWN_TICKS,
    )
    axes.set_title(f"Pearson correlation over {int(rows['n'].max()):,} places")
    axes.set_xticks([i + 0.5 for i in range(len(groups))], groups, rotation=90)
    axes.set_yticks([i + 0.5 for i in range(len(groups))], groups, rotation=0)
    axes.tick_params(length=0)
    axes.grid(False)
