"""Task by task: how far circuits overlap, what one task's circuit does on the other, what is forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rewire.figures.frames import read_frame
from rewire.figures.overlap import heatmap
from rewire.figures.sequential_runs import main_variants, spelled, tasks_of
from rewire.figures.style import GREY, SEQUENTIAL, blank, save, themed

CELLS = {  # column of pairs -> title
    "edge_jaccard": "Edge Jaccard, shared / either\n(first before, second after)",
    "first_on_second": "First's circuit on the second\n(normalised faithfulness)",
    "second_on_first": "Second's circuit on the first\n(normalised faithfulness)",
    "forgetting": "Forgetting of the first\n(share of its accuracy lost)",
}
COLUMNS = ("run", "kind", "variant", "first", "second", "learned", *CELLS)
CELL = 0.56  # inches a task


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a table of pairs. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a pair and variant; a row of squares a main variant, first tasks in rows, second in columns."""
    tasks, variants = tasks_of(table), main_variants(table)
    size = max(2.4, CELL * len(tasks) + 0.9)
    out = blank(
        size * len(CELLS) + 2.0, (size + 0.75) * len(variants) + 0.7, f"One task after another: {name}"
    )
    panels = out.subplots(len(variants), len(CELLS), squeeze=False)
    for variant, row in zip(variants, panels, strict=True):
        own = table[table["variant"] == variant]
        for (column, title), axes in zip(CELLS.items(), row, strict=True):
            heatmap(axes, square(own, column, tasks), [spelled(task) for task in tasks])
            axes.set_title(title)
            axes.set_xlabel("second task")
        row[0].set_yticks(range(len(tasks)), [spelled(task) for task in tasks])
        row[0].set_ylabel(f"{variant}\nfirst task")
        unlearned(row[-1], own, tasks)
    scale = ScalarMappable(Normalize(0, 1), SEQUENTIAL)
    bar = out.colorbar(scale, ax=panels, shrink=0.6 / len(variants) ** 0.5, aspect=18, extend="both")
    bar.set_label("value (colours end at 0 and 1)")
    bar.outline.set_visible(False)
    return out


def square(rows: pd.DataFrame, column: str, tasks: list[str]) -> np.ndarray:
    """[tasks, tasks] of ``column``, NaN where there is no such pair."""
    table = rows.pivot_table(index="first", columns="second", values=column, aggfunc="first")
    return table.reindex(index=tasks, columns=tasks).to_numpy(dtype=float)


def unlearned(axes: Axes, rows: pd.DataFrame, tasks: list[str]) -> None:
    """A mark in the cells of pairs whose first task was never learned."""
    missing = rows[~rows["learned"].astype(bool)]
    for first, second in zip(missing["first"], missing["second"], strict=True):
        place = tasks.index(second), tasks.index(first)
        axes.annotate("not\nlearned", place, ha="center", va="center", fontsize=7, color=GREY)
