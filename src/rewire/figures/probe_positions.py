"""Where and when the answer is made: what every layer and token recovers, the prompts' own tokens on the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.head_map import largest, numbers
from rewire.figures.panels import OWN_TICKS, no_data
from rewire.figures.probe_tables import COMPONENTS, SHARE, shown
from rewire.figures.style import DIVERGING, blank, save, themed

PROMPTS = (
    "id", "group", "template", "clean", "corrupted", "difference", "labels", "positions", "logit_diff_clean",
    "logit_diff_corrupted",
)  # fmt: skip
PATCHES = ("id", "site", "layer", "head", "position", "logit_diff")
SETS = 8  # rows of panels at most
ANNOTATED = 60  # cells of a panel: with more the numbers would not be legible
LIMIT = 1.5  # the end of the colour scale, at most: a share of a small difference can be anything
OWN = ("difference", "last")  # labels that every prompt has


@dataclass(frozen=True)
class Kind:
    """Prompts of one template, group and length, whose labels and first difference stand at the same places.

    ``shares``: site -> [layers, tokens] recovered, from the first token that differs; ``tokens``: their names.
    """

    name: str
    tokens: list[str]
    shares: dict[str, np.ndarray]


def draw(prompts: str | Path, patches: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a patch grid token by token. Errors: InputError that names a table that is empty or lacks a column."""
    save(figure(read_frame(prompts, PROMPTS), read_frame(patches, PATCHES), name), png, svg)


@themed
def figure(prompts: pd.DataFrame, patches: pd.DataFrame, name: str) -> Figure:
    """``prompts``: a row a pair; ``patches``: a row a pair and patch. A row of panels for each kind of prompt."""
    sites = [site for site in COMPONENTS if site in set(patches["site"])]
    every, kinds = kinds_of(prompts), []
    for chosen in every[:SETS]:
        kinds.append(kind(chosen, patches, sites))
    layers = max((share.shape[0] for one in kinds for share in one.shares.values()), default=1)
    widest = max(len(one.tokens) for one in kinds)
    cell = 0.42 if layers * widest <= ANNOTATED else 0.3
    width = max(9.0, 1.6 + len(sites) * (0.7 + cell * widest))
    height = 0.9 + len(kinds) * (1.2 + max(0.8, (0.24 if layers <= 6 else 0.17) * layers))
    out = blank(width, height, f"Patched from the clean run, by layer and token: {name}")
    panels = out.subplots(len(kinds), max(len(sites), 1), squeeze=False)
    limit = min(LIMIT, max((largest(share) for one in kinds for share in one.shares.values()), default=1.0))
    norm = Normalize(-limit, limit)
    for row, one in zip(panels, kinds, strict=True):
        for axes, site in zip(row, sites, strict=False):
            heatmap(axes, one.shares[site], one.tokens, norm, widest)
            axes.set_title(COMPONENTS[site])
        row[0].set_title("\n".join([one.name, *(COMPONENTS[site] for site in sites[:1])]))
        row[0].set_ylabel("layer")
    bar = out.colorbar(ScalarMappable(norm, DIVERGING), ax=panels, shrink=min(1.0, 3.2 / height), pad=0.01)
    bar.set_label(SHARE)
    left_out = f"; {len(kinds)} of {len(every)} kinds of prompts" if len(every) > len(kinds) else ""
    out.supxlabel(f"tokens from the first that differs{left_out}", fontsize=8.5)
    return out


def kinds_of(prompts: pd.DataFrame) -> list[pd.DataFrame]:
    """Prompts of the same template, group and length with the same labelled places; the largest of every group first."""
    length, places = prompts["clean"].map(len), prompts["positions"].map(tuple)
    by = ["template", "group", length.rename("length"), places.rename("places"), "difference"]
    found = sorted((own for _, own in prompts.groupby(by, sort=False)), key=lambda own: -len(own))
    seen: dict[str, int] = {}
    order = []
    for own in found:
        group = own["group"].iloc[0]
        seen[group] = seen.get(group, -1) + 1
        order.append(seen[group])
    return [found[i] for i in np.argsort(order, kind="stable")]


def kind(own: pd.DataFrame, patches: pd.DataFrame, sites: Sequence[str]) -> Kind:
    """The ratio of means of what every layer and token of these prompts recovers."""
    first, length = int(own["difference"].iloc[0]), len(own["clean"].iloc[0])
    ends = own.set_index("id")[["logit_diff_clean", "logit_diff_corrupted"]]
    whole = float((ends["logit_diff_clean"] - ends["logit_diff_corrupted"]).mean())
    rows = patches[patches["id"].isin(ends.index) & (patches["position"] >= first) & patches["head"].isna()]
    change = rows["logit_diff"] - rows["id"].map(ends["logit_diff_corrupted"])
    shares = {}
    for site in sites:
        here = rows["site"] == site
        table = rows[here].assign(change=change[here]).pivot_table("change", "layer", "position", "mean")
        table = table.reindex(columns=range(first, length))
        shares[site] = table.to_numpy(dtype=float) / whole if whole else np.full(table.shape, np.nan)
    template = int(own["template"].iloc[0])  # 0: pairs that are written out
    title = own["group"].iloc[0] + (f", template {template}" if template else "")
    return Kind(f"{title} (n = {len(own)})", [token(own, at) for at in range(first, length)], shares)


def token(own: pd.DataFrame, at: int) -> str:
    """How the token at one place is called: as it is, as in both runs, or by its label where prompts differ."""
    words = [[shown(row[at]) for row in own[side]] for side in ("clean", "corrupted")]
    if all(len(set(side)) == 1 for side in words):
        return "|".join(dict.fromkeys(side[0] for side in words))
    first = own.iloc[0]
    labels = [label for label, place in zip(first["labels"], first["positions"], strict=True) if place == at]
    named = [label for label in labels if label not in OWN] or labels
    return f"‹{named[0]}›" if named else f"{words[0][0]} …"


def heatmap(axes: Axes, values: np.ndarray, names: Sequence[str], norm: Normalize, widest: int) -> None:
    """Layer 0 at the bottom, cells as wide as if there were ``widest`` tokens."""
    if not np.isfinite(values).any():
        no_data(axes)
        return
    few = values.size <= ANNOTATED
    texts = numbers(values, False) if few else False
    sns.heatmap(
        values,
        ax=axes,
        cmap=DIVERGING,
        norm=norm,
        annot=texts,
        fmt="",
        annot_kws={"fontsize": 7.5},
        linewidths=0.6 if few else 0.2,
        linecolor="white",
        cbar=False,
        **OWN_TICKS,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, widest)
    axes.spines["bottom"].set_visible(False)
    layers = range(0, len(values), 1 + len(values) // 17)
    axes.set_yticks([i + 0.5 for i in layers], labels=[str(i) for i in layers], rotation=0)
    axes.set_xticks([i + 0.5 for i in range(len(names))], labels=[clip(name) for name in names])
    axes.tick_params(axis="x", rotation=90 if max(map(len, names)) > 4 else 0)
    axes.tick_params(length=0)
    axes.grid(False)


def clip(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
