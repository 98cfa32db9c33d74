"""Measures of sequential fine-tuning: forgetting and overlap, change over a task's training, combined circuits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rewire import statistics
from rewire.claims.frames import JUDGED, NotRun, Tables, frame
from rewire.sequential.declared import TOGETHER
from rewire.statistics import Estimate

Measure = Callable[[Tables], Estimate | None]


def main_variant(tables: Tables) -> str | None:
    """The variant that the config names, else the one that most pairs are run by, the first among equals; None without pairs."""
    if JUDGED in tables:
        return str(tables[JUDGED])
    pairs = frame(tables, "pairs")
    sizes = pairs.groupby("variant", sort=False).size()
    return str(sizes.idxmax()) if len(sizes) else None


def regression(fit: str, statistic: str) -> Measure:
    """A statistic of the regression of forgetting on edge Jaccard, pairs of the variant that is judged; n: pairs."""

    def measure(tables: Tables) -> Estimate | None:
        table = frame(tables, "regression")
        at = (table["variant"] == main_variant(tables)) & (table["overlap"] == "edge_jaccard")
        rows = table[at & (table["fit"] == fit) & (table["statistic"] == statistic)]
        if not len(rows) or not np.isfinite(rows["value"].iloc[0]):
            return None
        row = rows.iloc[0]
        return Estimate(row["value"], row["low"], row["high"], int(row["pairs"]))

    return measure


def turnover(tables: Tables, kind: str) -> Any:
    """[tasks, checkpoints]: |A xor B| / |A| from each checkpoint to the next while a task is learned alone, from the first on.

    ``kind``: edge or node.
    """
    table = frame(tables, "changes")
    rows = alone(tables, table[(table["reference"] == "previous") & (table["measure"] == f"{kind}_turnover")])
    if not len(rows):
        raise NotRun("changes")
    return rows.pivot(index="task", columns="step", values="value").to_numpy(dtype=float)


def alone(tables: Tables, table: Any) -> Any:
    """The rows of tasks that are trained by themselves; of those that were learned."""
    own = (table["kind"] == "single") & (table["task"] == table["first"])
    return table[own & table["run"].isin(learned_runs(tables))]


def learned_runs(tables: Tables) -> set[str]:
    """The runs of which every task had reached its threshold at the last checkpoint."""
    table = frame(tables, "checkpoints")
    last = table[table["step"] == table.groupby("run")["step"].transform("max")]
    reached = last["learned"].astype(bool).groupby(last["run"]).all()
    return set(reached.index[reached])


def over_tasks(values: Any) -> Estimate | None:
    """The mean over tasks, those without a value left out; None if there are none."""
    known = values[np.isfinite(values)]
    return statistics.mean(known) if len(known) else None


def change_at(kind: str, number: int) -> Measure:
    """Change to the checkpoint ``number`` (1: the first, from the base) from the one before it, mean over tasks.

    None where there are fewer checkpoints.
    """

    def measure(tables: Tables) -> Estimate | None:
        found = turnover(tables, kind)
        return over_tasks(found[:, number - 1]) if found.shape[1] >= number else None

    return measure


def change_falls(tables: Tables) -> Estimate | None:
    """Edge change at the first checkpoint minus that at the last, mean over tasks; None for a single checkpoint."""
    found = turnover(tables, "edge")
    return over_tasks(found[:, 0] - found[:, -1]) if found.shape[1] > 1 else None


def first_tested(tables: Tables) -> Any:
    """The edge-centric test of each task learned alone: its first checkpoint against the base. A row a task."""
    rows = alone(tables, frame(tables, "edge_centric"))
    rows = rows[rows["reference"] == "base"]
    if not len(rows):
        raise NotRun("edge_centric")
    return rows[rows["step"] == rows.groupby("task")["step"].transform("min")]


def edges_beyond_nodes_over_tasks(tables: Tables) -> Estimate:
    """The statistic of the edge-centric test, mean over tasks; NaN where the test gives one of them none. n: tasks."""
    return statistics.mean(first_tested(tables)["statistic"].to_numpy(dtype=float))


def edge_centric_over_tasks(tables: Tables) -> str:
    """The verdict that the edge-centric test gives of every task alike, else inconclusive.

    A claim on each task, so that its null hypothesis is a union: it is rejected if the test rejects it of each (an
    intersection-union test, whose level is that of the one test).
    """
    verdicts = set(first_tested(tables)["verdict"])
    return str(verdicts.pop()) if len(verdicts) == 1 else "inconclusive"


def add_sub_at(fraction: float) -> Measure:
    """kl_percentage of AddSub's circuit of that share of all edges. No interval unless AddSub was learned."""

    def measure(tables: Tables) -> Estimate | None:
        table = frame(tables, "curve")
        rows = table[np.isclose(table["fraction"], fraction)]
        if not len(rows):
            return None
        found = estimate_of(rows.iloc[0], "kl_percentage")
        return found if "add_sub" in learned_runs(tables) else replace(found, low=math.nan, high=math.nan)

    return measure


def estimate_of(row: Any, column: str) -> Estimate:
    """A column of a row with its interval; n: examples."""
    low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
    return Estimate(float(row[column]), low, high, int(row["examples"]))


def combined(circuit: str, column: str) -> Measure:
    """A column of the algebra table: of the first composite, its parts' circuits found in models of their own.

    A task of its own, such as AddSub, comes before tasks that are trained together. No interval unless the composite and both
    parts were learned.
    """

    def measure(tables: Tables) -> Estimate | None:
        table = frame(tables, "algebra")
        rows = table[(table["parts_found"] == "alone") & (table["circuit"] == circuit)]
        if not len(rows):
            return None
        together = rows["composite"].str.contains(TOGETHER, regex=False)
        row = rows.iloc[int(np.argmin(together))]  # the first that is not, else the first
        found = estimate_of(row, column)
        if {row["composite"], row["first"], row["second"]} <= learned_runs(tables):
            return found
        return replace(found, low=math.nan, high=math.nan)

    return measure


def inside_minus(other: str) -> Measure:
    """Forgetting where the first task's circuit alone is trained, minus that of the variant ``other``: mean over prompts and pairs.

    ``outside``: all but it is trained; ``random``: as many parameters, anywhere. The pairs are those of which both variants learned
    both tasks; None without such. Pairs with one first task share its test prompts, and their mean is one value a prompt. n: prompts
    of all first tasks. The interval is over prompts, so that it holds for these pairs (and draws).
    """

    def measure(tables: Tables) -> Estimate | None:
        pairs, table = frame(tables, "pairs"), frame(tables, "checkpoints")
        learned = pairs[pairs["learned"].astype(bool) & pairs["second_learned"].astype(bool)]
        found = {
            name: learned[learned["variant"] == name].set_index(["first", "second"])
            for name in ("inside", other)
        }
        lost: dict[str, list[Any]] = {}  # first task -> [prompts] a pair
        for pair in found["inside"].index.intersection(found[other].index, sort=False):
            inside, beside = (
                after(table, found[name].loc[pair, "run"], pair[0]) for name in ("inside", other)
            )
            before = found["inside"].loc[pair, "first_accuracy_before"]
            value = (beside - inside) / before if before else np.full(len(inside), math.nan)
            lost.setdefault(pair[0], []).append(value)
        if not lost:
            return None
        values = np.concatenate([np.mean(of_task, axis=0) for of_task in lost.values()])
        return statistics.mean(values) if len(values) and np.isfinite(values).all() else None

    return measure


def after(table: Any, run: str, task: str) -> Any:
    """[examples]: whether a task's test prompts are answered rightly at the end of a run."""
    rows = table[(table["run"] == run) & (table["task"] == task)].sort_values("step")
    return np.asarray(rows["correct"].iloc[-1], dtype=float)
