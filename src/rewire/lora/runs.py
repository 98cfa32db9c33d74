"""The bake-off's runs, one a strategy and seed: what was trained, how it went, how well it summarizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rewire.errors import InputError
from rewire.rouge import ROUGE
from rewire.tables import read_table, schema, write_table

STANDARD = "standard"
FACTS = ("facts_generated", "facts_right")
PLAN = (
    "learning_rate",
    "layers",
    "heads",
    "ranks",
    "parameters",
    "base_parameters",
    "best_step",
    "best_loss",
)
SCHEMA = schema(
    strategy="string",
    seed="int32",
    learning_rate="float64",
    layers="list<int32>",
    heads="list<string>",
    ranks="list<int32>",
    parameters="int64",
    parameter_share="float64",
    validation_loss="float64",
    best_step="int64",
    steps="int64",
    steps_to_standard="int64",
    rouge1="float64",
    rouge2="float64",
    rougeL="float64",
    rougeLsum="float64",
    facts="float64",
)

Name = tuple[str, int]  # strategy, seed


@dataclass(frozen=True)
class LoraRun:
    """A row of SCHEMA; the articles' ids, and every measure of their summaries, [articles]."""

    row: Mapping[str, Any]
    ids: Sequence[str]
    articles: Mapping[str, np.ndarray]

    @property
    def strategy(self) -> str:
        return str(self.row["strategy"])

    @property
    def seed(self) -> int:
        return int(self.row["seed"])


def read_runs(summaries: Mapping[Name, str | Path], folders: Mapping[Name, str | Path]) -> list[LoraRun]:
    """The runs in the order given, from their summaries and folders (``plan.parquet`` and ``training.parquet``).

    The summaries of all seeds of a strategy may be in one table: each run's are the rows of its seed.
    Errors: InputError that names the table: a missing column, another run's plan, not the first run's articles.
    """
    plans, losses = {}, {}
    for name, folder in folders.items():
        plans[name] = read_plan(Path(folder) / "plan.parquet", name)
        losses[name] = validation_losses(Path(folder) / "training.parquet")
    bounds = standard_losses(plans)
    runs: list[LoraRun] = []
    for name, file in summaries.items():
        ids, articles = read_articles(file, runs[0].ids if runs else None, name[1])
        row = run_row(name, plans[name]) | {
            "steps_to_standard": first_step(losses[name], bounds.get(name[1]))
        }
        row |= {measure: float(values.mean()) for measure, values in articles.items()}
        runs.append(LoraRun(row, ids, articles))
    return runs


def write_runs(runs: Sequence[LoraRun], path: str | Path) -> None:
    """One row a run. Losses in nats a token, ROUGE F and facts right 0..100, share of all parameters in percent."""
    write_table(path, [run.row for run in runs], SCHEMA)


def read_plan(path: Path, name: Name) -> dict[str, Any]:
    table = read_table(path, ("strategy", "seed", *PLAN, "steps"))
    if table.num_rows != 1:
        raise InputError(f"{path}: {table.num_rows} rows, expected one")
    plan: dict[str, Any] = table.to_pylist()[0]
    if (plan["strategy"], plan["seed"]) != name:
        raise InputError(
            f"{path}: the plan of {plan['strategy']} seed {plan['seed']}, not of {name[0]} seed {name[1]}"
        )
    return plan


def validation_losses(path: Path) -> list[tuple[int, float]]:
    """(step, loss) of every validated step."""
    table = read_table(path, ("step", "validation_loss"))
    rows = zip(table["step"].to_pylist(), table["validation_loss"].to_pylist(), strict=True)
    return [(step, loss) for step, loss in rows if loss is not None and math.isfinite(loss)]


def standard_losses(plans: Mapping[Name, Mapping[str, Any]]) -> dict[int, float]:
    """Seed -> what a run of this seed has to reach: the best validation loss of ``standard`` with the same data order.

    For seeds that ``standard`` has not, as later draws of random layers: the mean over those that it has.
    """
    found = {
        seed: finite(plan["best_loss"]) for (strategy, seed), plan in plans.items() if strategy == STANDARD
    }
    known = {seed: loss for seed, loss in found.items() if loss is not None}
    if not known:
        return {}
    mean = float(np.mean(list(known.values())))
    return {seed: mean for _, seed in plans if seed not in found} | known


def first_step(losses: Sequence[tuple[int, float]], bound: float | None) -> int | None:
    """The first validated step whose loss is at most ``bound``, None if it never is."""
    return next((step for step, loss in losses if bound is not None and loss <= bound), None)


def run_row(name: Name, plan: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("learning_rate", "layers", "heads", "ranks", "parameters", "best_step", "steps")
    return {
        "strategy": name[0],
        "seed": name[1],
        **{key: plan[key] for key in kept},
        "parameter_share": parameter_share(plan["parameters"], plan["base_parameters"]),
        "validation_loss": finite(plan["best_loss"]),
    }


def parameter_share(parameters: int, base_parameters: int) -> float:
    """Trainable parameters in percent of the base's and the adapter's; 100 where every parameter is trained."""
    return 100 * parameters / (parameters + base_parameters)


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def read_articles(
    file: str | Path, expected: Sequence[str] | None = None, seed: int | None = None
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The articles' ids, and each measure of their summaries, [articles]; the ids must be those ``expected``.

    ``seed``: whose rows to take of a table of several runs.
    """
    table = read_table(file, ("id", *ROUGE, *FACTS, *(["seed"] if seed is not None else [])))
    if seed is not None:
        table = table.filter(pc.equal(table["seed"], seed))
    ids = table["id"].to_pylist()
    if not ids:
        raise InputError(f"{file}: no summaries" + (f" of seed {seed}" if seed is not None else ""))
    if expected is not None and ids != expected:
        raise InputError(f"{file}: its articles differ from the other runs'")
    return ids, article_measures(table)


def article_measures(table: pa.Table) -> dict[str, np.ndarray]:
    """[articles] of each measure, 0..100; a summary without names and numbers has none right."""
    measures = {name: table[name].to_numpy() for name in ROUGE}
    generated, right = (table[name].to_numpy() for name in FACTS)
    return {**measures, "facts": 100 * right / np.maximum(generated, 1)}
