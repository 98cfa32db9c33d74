"""Every published claim beside our value and the verdict, as a table."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from rewire.figures.frames import read_frame
from rewire.figures.style import FAINT, GREY, INK, blank, save, themed

TEXT = ("claim", "statement", "source", "published", "unit", "model", "dataset", "verdict")
COLUMNS = (*TEXT, "value", "low", "high", "n")
# heading, left edge in inches, characters a line
CELLS = (
    ("claim and source", 0.0, 62),
    ("published", 4.5, 20),
    ("ours (95 % CI)", 6.1, 24),
    ("n", 8.05, 8),
    ("model · dataset", 8.7, 20),
    ("verdict", 10.4, 16),
)
WIDTH, LINE = 11.9, 0.165  # inches
VERDICTS = {  # background and sign: hues of the colour-blind palette, lightened
    "supported": ("#b8dfcf", "✓"),
    "not supported": ("#f5c9a8", "✗"),
    "inconclusive": ("#f3e6a6", "?"),
    "not run": ("#e6e6e6", "–"),
}


def draw(table: str | Path, png: str | Path, svg: str | Path) -> None:
    """Draw the table of claims. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS)), png, svg)


@themed
def figure(claims: pd.DataFrame) -> Figure:
    """``claims``: a row a claim; value, interval and n are NaN where the claim was not run."""
    rows = [cells(row) for _, row in claims.iterrows()]
    heights = [LINE * max(len(row[0]) + len(row[-1]), *map(len, row)) + 0.16 for row in rows]
    total = sum(heights) + 0.35
    counts = claims["verdict"].value_counts()
    verdicts = [verdict for verdict in dict.fromkeys([*VERDICTS, *claims["verdict"]]) if verdict in counts]
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts)
    out = blank(WIDTH + 0.3, total + 0.6, f"Published claims: {summary}")
    axes = out.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(total, 0)
    for heading, x, _ in CELLS:
        axes.text(x, 0.22, heading, va="baseline", fontweight="bold", color=INK)
    top = 0.35
    for row, height, verdict in zip(rows, heights, claims["verdict"], strict=True):
        axes.axhline(top, color=FAINT, linewidth=0.8)
        claim(axes, row, top, height, verdict)
        top += height
    return out


def cells(row: pd.Series) -> list[list[str]]:
    """The lines of a claim's cells: statement, published, ours, n, place, verdict, and last the source."""
    text = {name: "" if pd.isna(row[name]) else str(row[name]) for name in TEXT}
    sign = VERDICTS.get(text["verdict"], ("", "·"))[1]
    n = f"{int(row['n']):,}" if np.isfinite(row["n"]) else ""
    place = " · ".join(part for part in (text["model"], text["dataset"]) if part)
    verdict = f"{sign} {text['verdict']}"
    columns = (text["statement"], text["published"], ours(row, text["unit"]), n, place, verdict)
    lines = [textwrap.wrap(column, cell[2]) for column, cell in zip(columns, CELLS, strict=True)]
    return [*lines, textwrap.wrap(text["source"], CELLS[0][2] + 4)]


def ours(row: pd.Series, unit: str) -> str:
    """The value with its interval, all with as many decimals as give the largest of them three digits."""
    if not np.isfinite(row["value"]):
        return "—"
    numbers = np.array([row["value"], row["low"], row["high"]], dtype=float)
    numbers = numbers if np.isfinite(numbers).all() else numbers[:1]
    largest = float(np.abs(numbers).max())
    whole = bool((numbers == np.round(numbers)).all())
    decimals = 0 if whole else int(np.clip(2 - np.floor(np.log10(largest)), 0, 6))
    value, *ends = (f"{number:,.{decimals}f}".replace("-", "−") for number in numbers)
    value = f"{value} {unit}".strip()
    return f"{value} [{', '.join(ends)}]" if ends else value


def claim(axes: Axes, row: list[list[str]], top: float, height: float, verdict: str) -> None:
    """One claim: its cells, the source in grey under the statement, the verdict on its colour."""
    colour = VERDICTS.get(verdict, ("#ffffff", ""))[0]
    left = CELLS[-1][1] - 0.08
    corner, size = (left, top + 0.05), (WIDTH - left, height - 0.1)
    rounded = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=rounded, color=colour, linewidth=0))
    *columns, source = row
    for (_, x, _), lines in zip(CELLS, columns, strict=True):
        for i, text in enumerate(lines):
            axes.text(x, top + 0.2 + LINE * i, text, va="baseline", color=INK, fontsize=8.5)
    for i, text in enumerate(source, start=len(columns[0])):
        axes.text(0, top + 0.2 + LINE * i, text, va="baseline", color=GREY, fontsize=8)
