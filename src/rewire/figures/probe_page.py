"""A study as a page to point at: what every layer and token recovers, every head, and where the leading heads look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rewire.figures.frames import read_frame
from rewire.figures.head_map import grid, largest
from rewire.figures.page import Grid, Section, write_page
from rewire.figures.probe_attention import title as head_title
from rewire.figures.probe_patterns import COLUMNS as PATTERNS
from rewire.figures.probe_patterns import ordered_heads, recovered, triangle
from rewire.figures.probe_positions import LIMIT, PATCHES, kind, kinds_of
from rewire.figures.probe_positions import PROMPTS as COLUMNS
from rewire.figures.probe_tables import ALL, COMPONENTS, HEADS, SHARE, SUMMARY, choose, shown

RECOVERED = f"{SHARE[:1].upper()}{SHARE[1:]} by what is set to its value in the clean run: 0 nothing, 1 the clean run."
TEXT = "Point at a cell: its token and its value are written beside it. Red is above zero, blue below, grey was not measured."


def draw(
    prompts: str | Path,
    patches: str | Path,
    summary: str | Path,
    patterns: str | Path,
    name: str,
    html: str | Path,
) -> None:
    """Write the page of a study. Errors: InputError that names a table that is empty or lacks a column."""
    pairs, means = read_frame(prompts, COLUMNS), read_frame(summary, SUMMARY)
    sections = [
        by_token(pairs, read_frame(patches, PATCHES)),
        by_head(means),
        over_sentence(pairs, read_frame(patterns, PATTERNS), means),
    ]
    write_page(html, name, TEXT, sections)


def by_token(prompts: pd.DataFrame, patches: pd.DataFrame) -> Section:
    """Layer by token for every kind of prompts, as in the figure ``positions``."""
    sites = [site for site in COMPONENTS if site in set(patches["site"])]
    kinds = [kind(own, patches, sites) for own in kinds_of(prompts)]
    limit = min(LIMIT, max((largest(share) for one in kinds for share in one.shares.values()), default=1.0))
    grids = [
        Grid(COMPONENTS[site], layers(len(share)), one.tokens, share[::-1], limit, {"prompts": name})
        for name, one in zip(distinct([one.name for one in kinds]), kinds, strict=True)
        for site, share in one.shares.items()
    ]
    text = f"{RECOVERED} Tokens from the first that differs; ‹name› is a label of the study, a|b the clean and the corrupted token."
    return Section("positions", "By layer and token", text, "layer", "token", "recovered", grids)


def by_head(summary: pd.DataFrame) -> Section:
    """Layer by head for every group of prompts, as in the figure ``heads``."""
    grids = []
    for group in sorted(set(summary["group"]), key=lambda name: (name != ALL, name)):
        tables = {site: choose(summary, site, "recovered", group) for site in HEADS}
        every = pd.concat(tables.values())
        if not len(every):
            continue
        shape = (int(every["layer"].max()) + 1, int(every["head"].max()) + 1)
        limit = max(largest(grid(rows, "value", shape)) for rows in tables.values())
        for site, rows in tables.items():
            values = grid(rows, "value", shape)[::-1]
            columns = [str(head) for head in range(shape[1])]
            notes = said(rows, shape)
            grids.append(Grid(HEADS[site], layers(shape[0]), columns, values, limit, {"group": group}, notes))
    text = f"{RECOVERED} A head is patched at all positions together."
    return Section("heads", "By layer and head", text, "layer", "head", "recovered", grids)


def said(rows: pd.DataFrame, shape: tuple[int, int]) -> list[list[str]]:
    """Interval, q and number of prompts of every head, the last layer first."""
    low, high, q, n = (grid(rows, column, shape)[::-1] for column in ("low", "high", "q", "n"))

    def note(at: tuple[int, int]) -> str:
        interval = f"95 % CI {low[at]:.3f} to {high[at]:.3f}, " if np.isfinite(low[at]) else ""
        tested = f"q = {q[at]:.3f}, " if np.isfinite(q[at]) else ""
        return f"{interval}{tested}n = {n[at]:.0f}".replace("-", "−")

    return [[note((i, j)) for j in range(shape[1])] for i in range(shape[0])]


def over_sentence(prompts: pd.DataFrame, patterns: pd.DataFrame, summary: pd.DataFrame) -> Section:
    """The leading heads' whole patterns on one prompt of each group, the head that recovers most first."""
    share = recovered(summary)
    heads = ordered_heads(patterns, share)
    grids = []
    for pair in prompts[prompts["id"].isin(set(patterns["id"]))].itertuples():
        own = patterns[patterns["id"] == pair.id]
        for layer, head in heads:
            for run in ("clean", "corrupted"):
                cells = own[(own["layer"] == layer) & (own["head"] == head) & (own["run"] == run)]
                tokens = numbered(getattr(pair, run))
                choice = {
                    "prompt": f"{pair.group}: {pair.id}",
                    "head": head_title((layer, head), share.get((layer, head))),
                }
                grids.append(
                    Grid(
                        f"{run} run", tokens, tokens, triangle(cells, len(tokens)), 1.0, choice, triangle=True
                    )
                )
    text = "Attention of a head from every token (down) to itself and the tokens before it (across), in one prompt of each group."
    return Section(
        "attention", "Where the leading heads look", text, "from", "attention to", "attention", grids
    )


def layers(count: int) -> list[str]:
    """Names of layers, the last on top."""
    return [str(layer) for layer in range(count)][::-1]


def numbered(tokens: Sequence[str]) -> list[str]:
    """Tokens with their place: ``2 ␣was``."""
    return [f"{place} {shown(token)}" for place, token in enumerate(tokens)]


def distinct(names: Sequence[str]) -> list[str]:
    """Names, told apart by a number where they are alike."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}, {seen[name]}")
    return found
