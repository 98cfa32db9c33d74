"""Do groups of prompts use the same parts of the model? Their profiles, alike ones together, and how they correlate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.heads import largest, numbers
from rewire.figures.panels import no_data
from rewire.figures.probe_tables import COMPONENTS, HEADS, SHARE, SUMMARY
from rewire.figures.style import DIVERGING, FAINT, INK, blank, save, themed

PAIRINGS = ("measure", "sites", "group", "other", "place", "other_place", "pearson", "n")
FAMILIES = {  # family of sites -> title, the sites
    "heads": ("Heads, all positions together", HEADS),
    "components": ("Components, at the positions that all groups have", COMPONENTS),
}
SHORT = {
    "residual_pre": "residual",
    "residual_post": "leaving",
    "attention_out": "attention",
    "mlp_out": "MLP",
}
ANNOTATED = 12  # groups: with more the numbers would not be legible
LIMIT = 1.5  # the end of the colour scale, at most


def draw(summary: str | Path, pairings: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a patch grid's summary group by group; a study of one group has no pairings.

    Errors: InputError that names a table that lacks a column, or an empty summary.
    """
    save(figure(read_frame(summary, SUMMARY), read_frame(pairings, PAIRINGS, empty=True), name), png, svg)


@themed
def figure(summary: pd.DataFrame, pairings: pd.DataFrame, name: str) -> Figure:
    """``summary``: means by group; ``pairings``: correlation of every two groups, and where they stand."""
    count = max(pairings["group"].nunique(), 2)
    height = 1.0 + 2 * (1.3 + 0.34 * count)
    square = 2.6 + 0.42 * count
    out = blank(9.0 + square, max(height, 5.6), f"Groups of prompts side by side: {name}")
    panels = out.subplots(2, 2, width_ratios=[9.0, square])
    for (left, right), (family, (title, sites)) in zip(panels, FAMILIES.items(), strict=True):
        own = pairings[(pairings["sites"] == family) & (pairings["measure"] == "recovered")]
        if not len(own):
            for axes in (left, right):
                no_data(axes, "nothing that two groups share")
            left.set_title(title)
            continue
        groups = own.drop_duplicates("group").sort_values("place")["group"].tolist()
        profile(left, profiles(summary, groups, list(sites), family == "heads"), groups)
        left.set_title(f"{title}: {SHARE}")
        correlation(right, own, groups)
    return out


def profiles(summary: pd.DataFrame, groups: list[str], sites: list[str], whole: bool) -> pd.DataFrame:
    """Groups by places (site, position, layer, head): those where every group has a share; ``whole``: no position."""
    rows = summary[(summary["measure"] == "recovered") & summary["site"].isin(sites)]
    rows = rows[(rows["place"].isna() == whole) & rows["group"].isin(groups)]
    rows = rows.assign(
        head=rows["head"].fillna(-1), place=rows["place"].fillna(""), site=pd.Categorical(rows["site"], sites)
    )
    places = ["site", "place", "layer", "head"]
    wide = rows.pivot_table("value", "group", places, observed=True, sort=True).reindex(groups)
    return wide.dropna(axis="columns")


def profile(axes: Axes, wide: pd.DataFrame, groups: list[str]) -> None:
    """A row a group; a thin line and a name where another site or position begins."""
    values = wide.to_numpy(dtype=float)
    limit = min(LIMIT, largest(values))
    axes.set_facecolor(FAINT)
    sns.heatmap(
        values, ax=axes, cmap=DIVERGING, norm=Normalize(-limit, limit), cbar_kws={"label": "recovered"}
    )
    blocks = [(site, place) for site, place, *_ in wide.columns]
    starts = [i for i, block in enumerate(blocks) if i == 0 or block != blocks[i - 1]]
    for start in starts[1:]:
        axes.axvline(start, color=INK, linewidth=0.7)
    ends = [*starts[1:], len(blocks)]
    names = [f"{SHORT.get(site, site)} {place}".strip() for site, place in (blocks[i] for i in starts)]
    axes.set_xticks([(a + b) / 2 for a, b in zip(starts, ends, strict=True)], names)
    axes.tick_params(axis="x", rotation=90 if len(starts) > len(HEADS) else 0, length=0)
    axes.set_yticks([i + 0.5 for i in range(len(groups))], groups, rotation=0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("site (and position), layers and heads from left to right")
    axes.grid(False)


def correlation(axes: Axes, rows: pd.DataFrame, groups: list[str]) -> None:
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
    )
    axes.set_title(f"Pearson correlation over {int(rows['n'].max()):,} places")
    axes.set_xticks([i + 0.5 for i in range(len(groups))], groups, rotation=90)
    axes.set_yticks([i + 0.5 for i in range(len(groups))], groups, rotation=0)
    axes.tick_params(length=0)
    axes.grid(False)
