"""Measures of the bake-off, with the verdict of its own tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rewire.claims.frames import Tables, frame
from rewire.lora.verdicts import BETTER, SEEDS, WORSE
from rewire.statistics import Estimate

TOLERANCE = 0.01  # budgets that differ by more are not equal
SIGNS = {BETTER: 1, WORSE: -1}


@dataclass(frozen=True)
class Tested(Estimate):
    """An estimate that a corrected test has judged: ``sign`` 1 above 0, -1 below, 0 no difference found or not tested."""

    sign: int
    seeds: int


def lora_difference(
    strategy: str, reference: str, matched: bool = True
) -> Callable[[Tables], Estimate | None]:
    """ROUGE-1 of a strategy minus that of a reference strategy, from the bake-off's table; n: articles x seeds.

    ``matched``: None where their trainable parameters differ by more than 1 %.
    """

    def measure(tables: Tables) -> Estimate | None:
        table = frame(tables, "bakeoff")
        rows = table[table["measure"] == "rouge1"].set_index("strategy")
        column = f"against_{reference}"
        if strategy not in rows.index or reference not in rows.index or math.isnan(rows[column][strategy]):
            return None
        found, other = rows.loc[strategy], rows.loc[reference]
        if matched and abs(found["parameters"] - other["parameters"]) > TOLERANCE * other["parameters"]:
            return None
        seeds = min(int(found["seeds"]), int(other["seeds"]))
        interval = found[column], found[f"{column}_low"], found[f"{column}_high"]
        n = int(found["articles"] * found["seeds"])
        return Tested(*interval, n, SIGNS.get(found[f"{column}_verdict"], 0), seeds)

    return measure


def tested_verdict(result: Tested, rule: Mapping[str, Any], by_interval: str) -> str:
    """``by_interval`` where the bake-off's own test bears it out, else ``inconclusive``.

    What says that there is a difference needs the test to have found it, on that side; that two strategies are alike
    within bounds around 0, which no test of a difference can show, follows from the interval.
    """
    if result.seeds < SEEDS:
        return "inconclusive"
    alike = "between" in rule and rule["between"][0] <= 0 <= rule["between"][1]
    if alike and by_interval == "supported":
        return by_interval
    return by_interval if result.sign * result.value > 0 else "inconclusive"
