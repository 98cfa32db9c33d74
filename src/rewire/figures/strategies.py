"""LoRA strategies in a figure: their order, colours and names, and the tables that every bake-off figure reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns

from rewire.errors import InputError
from rewire.figures.frames import read_frame
from rewire.figures.style import GREY, INK, ORANGE

BASE, FULL, STANDARD, RANDOM = "base", "full", "standard", "random"
WHOLE = (BASE, FULL)  # no adapter: shown first, for scale
COLUMNS = (
    "strategy",
    "measure",
    "mean",
    "low",
    "high",
    "articles",
    "seeds",
    "parameters",
    "parameter_share",
)  # of the bake-off's table, that every figure of it reads
LINES: list[Any] = [
    "solid",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (5, 1.5, 1.2, 1.5)),
]


def in_order(names: Sequence[str]) -> list[str]:
    """The strategies as they come, each once, those without an adapter first."""
    found = list(dict.fromkeys(names))
    return [*(name for name in WHOLE if name in found), *(name for name in found if name not in WHOLE)]


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour a strategy: black and grey for those that set the scale, orange for standard, the palette for the rest."""
    known = {BASE: "#8a8a8a", FULL: INK, STANDARD: ORANGE, RANDOM: GREY}
    palette = [
        *(sns.color_palette("colorblind").as_hex()[i] for i in (0, 1, 2, 4, 5, 9)),
        "#5b3a8c",
        "#7a6a00",
    ]
    others = [name for name in dict.fromkeys(names) if name not in known]
    return known | {name: palette[i % len(palette)] for i, name in enumerate(others)}


def read_bakeoff(
    path: str | Path, runs: str | Path, columns: Sequence[str], measures: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``columns`` of the bake-off's table, and strategy, seed and ``measures`` of its runs.

    Errors: InputError that names the table: not readable, without rows or a column, or not of the same strategies.
    """
    table = read_frame(path, columns)
    seeds = read_frame(runs, ("strategy", "seed", *measures))
    unknown = [name for name in dict.fromkeys(seeds["strategy"]) if name not in set(table["strategy"])]
    if unknown:
        raise InputError(f"{runs}: strategy {unknown[0]!r} is not in {path}")
    return table, seeds


def sample_size(table: pd.DataFrame) -> str:
    """``64 articles, 3 to 5 seeds``: the base has no seeds."""
    trained = table[table["strategy"] != BASE]
    seeds = (trained if len(trained) else table)["seeds"].to_numpy(dtype=int)
    low, high = int(seeds.min()), int(seeds.max())
    number = f"{high} seed{'s' * (high > 1)}" if low == high else f"{low} to {high} seeds"
    articles = table["articles"].max()
    return f"{int(articles):,} articles, {number}" if np.isfinite(articles) else number
