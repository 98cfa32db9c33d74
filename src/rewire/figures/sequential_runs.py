"""What the figures of sequential fine-tuning share: the order of tasks, which variants have a panel, names of pairs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">", "p", "h")
PLACE = ("run", "kind", "variant", "first", "second", "task", "step")


def tasks_of(table: pd.DataFrame) -> list[str]:
    """First tasks in the order of the table, then second ones that are never first."""
    return list(dict.fromkeys([*table["first"].dropna(), *table["second"].dropna()]))


def main_variants(table: pd.DataFrame, most: int = 3) -> list[str]:
    """The variants that at least half as many pairs are run by as by any, at most ``most``, in the order of the table.

    Those of a few pairs alone are checks, not a sample of pairs.
    """
    own = table[table["kind"] == "sequential"]
    pairs = own.drop_duplicates("run").groupby("variant", sort=False).size()
    return list(pairs[pairs >= pairs.max() / 2].index[:most]) if len(pairs) else []


def spelled(task: str) -> str:
    """A task's name as a person writes it."""
    return task.replace("_", " ")


def arrow(first: str, second: str) -> str:
    return f"{spelled(first)} → {spelled(second)}"


def task_colours(tasks: Sequence[str]) -> dict[str, str]:
    """A colour a task; many tasks get hues around the circle."""
    palette = (
        sns.color_palette("colorblind", 10) if len(tasks) <= 10 else sns.color_palette("husl", len(tasks))
    )
    return dict(zip(tasks, palette.as_hex(), strict=False))
