"""Where the leading heads look from every token of a sentence: whole attention patterns, the sentence on both axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.panels import OWN_TICKS
from rewire.figures.probe_attention import title
from rewire.figures.probe_positions import clip
from rewire.figures.probe_tables import SUMMARY, choose, shown
from rewire.figures.style import SEQUENTIAL, blank, save, themed

COLUMNS = ("id", "run", "layer", "head", "query", "key", "attention")
PROMPTS = ("id", "group", "clean", "corrupted")
SETS, SHOWN = 3, 4  # prompts (rows of panels) and heads at most
ANNOTATED = 9  # tokens: with more the numbers would not be legible
Head = tuple[int, int]


def draw(
    prompts: str | Path,
    patterns: str | Path,
    summary: str | Path,
    name: str,
    png: str | Path,
    svg: str | Path,
) -> None:
    """Draw the clean runs. Errors: InputError that names a table that is empty or lacks a column."""
    tables = read_frame(prompts, PROMPTS), read_frame(patterns, COLUMNS), read_frame(summary, SUMMARY)
    save(figure(*tables, name), png, svg)


@themed
def figure(prompts: pd.DataFrame, patterns: pd.DataFrame, summary: pd.DataFrame, name: str) -> Figure:
    """``prompts``: a row a pair; ``patterns``: a row a cell; ``summary``: what heads recover, by which they stand in order."""
    share = recovered(summary)
    heads = ordered_heads(patterns, share)[:SHOWN]
    pairs = prompts[prompts["id"].isin(set(patterns["id"]))][:SETS]
    longest = max(len(tokens) for tokens in pairs["clean"])
    side = 1.1 + (0.34 if longest <= ANNOTATED else 0.22) * longest
    height = 0.7 + len(pairs) * (side + 0.5)
    out = blank(max(6.5, 1.4 + len(heads) * side), height, f"Attention over the sentence: {name}")
    panels = out.subplots(len(pairs), len(heads), squeeze=False)
    for row, pair in zip(panels, pairs.itertuples(), strict=True):
        own = patterns[(patterns["id"] == pair.id) & (patterns["run"] == "clean")]
        for axes, head in zip(row, heads, strict=True):
            cells = own[(own["layer"] == head[0]) & (own["head"] == head[1])]
            heatmap(axes, triangle(cells, len(pair.clean)), [clip(shown(token)) for token in pair.clean])
            axes.set_title(title(head, share.get(head)))
        row[0].set_ylabel(f"{pair.group}: {pair.id}\nfrom")
    bar = out.colorbar(
        ScalarMappable(Normalize(0, 1), SEQUENTIAL), ax=panels, shrink=min(1.0, 3.2 / height), pad=0.01
    )
    bar.set_label("attention, clean run")
    every = patterns["id"].nunique()
    left_out = f"; {len(pairs)} of {every} groups of prompts" if every > len(pairs) else ""
    out.supxlabel(f"from a token (down) to itself and those before it (across){left_out}", fontsize=8.5)
    return out


def recovered(summary: pd.DataFrame) -> dict[Head, float]:
    """Head -> share of the logit difference that its output recovers, over all prompts."""
    rows = choose(summary, "z", "recovered")
    return {(int(row.layer), int(row.head)): row.value for row in rows.itertuples()}


def ordered_heads(patterns: pd.DataFrame, share: dict[Head, float]) -> list[Head]:
    """The heads of a table of patterns, the one that recovers most first."""
    there = zip(patterns["layer"].astype(int), patterns["head"].astype(int), strict=True)
    return sorted(set(there), key=lambda head: (-abs(share.get(head, 0.0)), head))


def triangle(cells: pd.DataFrame, length: int) -> np.ndarray:
    """[queries, keys] of one head's attention, NaN to the right of the diagonal."""
    table = np.full((length, length), np.nan)
    table[cells["query"], cells["key"]] = cells["attention"]
    return table


def heatmap(axes: Axes, values: np.ndarray, tokens: Sequence[str]) -> None:
    """The first token on top; cells from .1 on say their weight."""
    few = len(tokens) <= ANNOTATED
    texts = np.array([[f"{v:.2f}" if v >= 0.1 else "" for v in row] for row in values])
    sns.heatmap(
        values,
        ax=axes,
        cmap=SEQUENTIAL,
        norm=Normalize(0, 1),
        annot=texts if few else False,
        fmt="",
        annot_kws={"fontsize": 6.5},
        linewidths=0.4 if few else 0.1,
        linecolor="white",
        cbar=False,
        square=True,
        **OWN_TICKS,
    )
    places = [i + 0.5 for i in range(len(tokens))]
    axes.set_xticks(places, labels=tokens, rotation=90)
    axes.set_yticks(places, labels=tokens, rotation=0)
    axes.tick_params(length=0, labelsize=7.5 if few else 6.5)
    axes.grid(False)
