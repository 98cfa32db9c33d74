"""Choose a learning rate on the validation loss, over the same grid for all: a strategy's by its first seed, and, where
every seed has layers of its own, each seed's."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewire.checkpoints.published import copy_checkpoint
from rewire.checkpoints.save import copy_folder
from rewire.checkpoints.unfinished import discard, fresh_unless_same
from rewire.errors import InputError
from rewire.lora.adapters import train_run
from rewire.lora.cost_table import read_costs, write_costs
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(
    strategy="string",
    seed="int32",
    learning_rate="float64",
    best_loss="float64",
    best_step="int64",
    steps="int64",
    chosen="bool",
    at_edge="bool",  # chosen, and the lowest or the highest of the grid: a better one may lie beyond
)


def tune(
    base: str | Path,
    train_articles: str | Path,
    validation_articles: str | Path,
    criticality: str | Path | None,
    strategy: str,
    seed: int,
    settings: Mapping[str, Any],
    folder: str | Path,
    table: str | Path,
    work: str | Path,
    language: str = "en",
    cost: str | Path | None = None,
    checkpoint: str | Path | None = None,
    draw: int = 0,
) -> None:
    """Train ``seed`` at every rate of ``settings["learning_rates"]``; write ``table`` (SCHEMA), the best run's
    ``folder`` (see ``train_run``), so that it is not trained again, the ``cost`` of them all, and the best run's model as
    a ``checkpoint`` folder, its adapter merged into the base. ``draw``, ``criticality``: as for ``train_run``.

    ``work``: finished rates and the unfinished one, from which an interrupted call goes on; removed when done.
    Errors: InputError if the loss is not finite at any rate.
    """
    work, rates = Path(work), settings["learning_rates"]
    inputs = (base, train_articles, validation_articles, criticality)
    described = {
        "strategy": strategy,
        "seed": seed,
        "draw": draw,
        "settings": dict(settings),
        "language": language,
    }
    fresh_unless_same(work, described | {"inputs": [content(path) for path in inputs]})
    plans, costs = [], []
    for number, rate in enumerate(rates):
        done, spent = work / f"rate-{number}", work / f"rate-{number}.tsv"
        if not done.is_dir():
            unfinished = work / f"rate-{number}.work"
            train_run(*inputs, strategy, seed, settings, rate, done, unfinished, language, spent, draw)
        plans += read_table(done / "plan.parquet").to_pylist()
        costs += read_costs(spent)
    best = choose(plans, strategy)
    write_table(table, tried(plans, best), SCHEMA)
    if cost is not None:
        write_costs(cost, costs)
    if checkpoint is not None:
        copy_checkpoint(str(base), checkpoint, adapter=str(work / f"rate-{best}"))
    copy_folder(work / f"rate-{best}", Path(folder))
    discard(work)


def choose(plans: Sequence[Mapping[str, Any]], strategy: str) -> int:
    """Index of the run with the lowest validation loss, of equals the first."""
    finite = [number for number, plan in enumerate(plans) if math.isfinite(plan["best_loss"])]
    if not finite:
        raise InputError(f"lora.learning_rates: {strategy} diverged at every one of them")
    return min(finite, key=lambda number: plans[number]["best_loss"])


def tried(plans: Sequence[Mapping[str, Any]], best: int) -> list[dict[str, Any]]:
    """Rows of SCHEMA of the runs' plans, one a rate, of which number ``best`` is chosen."""
    rates = [plan["learning_rate"] for plan in plans]
    edge = rates[best] in (min(rates), max(rates))
    chosen = [number == best for number in range(len(plans))]
    return [
        {**plan, "chosen": is_best, "at_edge": is_best and edge}
        for plan, is_best in zip(plans, chosen, strict=True)
    ]


def chosen_rate(table: str | Path) -> float:
    """The learning rate that ``tune`` chose. Errors: InputError that names the table if it is not one of its."""
    found = read_table(table)
    if not {"learning_rate", "chosen"} <= set(found.column_names):
        raise InputError(f"{table}: not a tuning table, it has no columns learning_rate and chosen")
    rates = [row["learning_rate"] for row in found.to_pylist() if row["chosen"]]
    if len(rates) != 1:
        raise InputError(f"{table}: {len(rates)} learning rates are chosen, expected one")
    return float(rates[0])


def content(source: str | Path | None) -> str | None:
    """A hash of a file, or of a folder's files and their names; what is neither (a Hub id) is its name."""
    if source is None:
        return None
    path = Path(source)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        return str(source)
    found = hashlib.sha256()
    for file in files:
        found.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()
