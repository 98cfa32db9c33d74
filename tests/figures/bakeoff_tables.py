"""A made-up bake-off: folders, tuning tables, and the tables of strategies and runs that the library writes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lora.bakeoff_runs import write_run, write_summaries

from rewire.lora.bakeoff import write_bakeoff
from rewire.lora.runs import read_runs, write_runs
from rewire.tables import schema, write_table

NAMES = ("standard", "full", "random", "circuit", "targeted")
MORE = ("circuit-rank", "circuit-heads", "inverse", "last-k", "a-strategy-with-a-long-name")
BUDGETS = {"full": 1_005_312, "last-k": 12_288, "circuit-heads": 24_570}
TUNING = schema(strategy="string", learning_rate="float64", best_loss="float64", chosen="bool")
RATES = (1e-3, 2e-3, 4e-3, 8e-3)


@dataclass(frozen=True)
class Bakeoff:
    """Paths: ``table`` and ``runs``, a folder a run, a tuning table a strategy."""

    table: Path
    runs: Path
    folders: dict[tuple[str, int], Path]
    tuning: list[Path]


def bakeoff(
    folder: Path,
    names: Sequence[str] = NAMES,
    seeds: int = 3,
    draws: int = 5,
    articles: int = 64,
    rates: Sequence[float] = RATES,
    validated: bool = True,
) -> Bakeoff:
    """``seeds`` runs a strategy, ``draws`` of ``random``; the later a strategy is named, the worse it summarizes."""
    rng = np.random.default_rng(4)
    easy = rng.normal(36, 7, articles)
    summaries, folders, tuning = {}, {}, []
    for rank, name in enumerate(names):
        for seed in range(draws if name == "random" else seeds):
            skill = 2 * (name == "full") - 0.8 * rank + rng.normal(0, 0.3)
            rouge = np.clip(easy + skill + rng.normal(0, 2, articles), 0, 100)
            run = (name, seed)
            summaries[run] = write_summaries(
                folder / f"{name}-{seed}.parquet", rouge, seed, **facts(rng, rank)
            )
            folders[run] = write_run(
                folder / f"{name}-{seed}", run, losses(rng, rank, validated), **size(name)
            )
        tuning.append(write_tuning(folder / f"tuning-{name}.parquet", name, rates, rank))
    found = read_runs(summaries, folders)
    base = write_summaries(folder / "base.parquet", np.clip(easy - 14, 0, 100))
    write_runs(found, folder / "runs.parquet")
    write_bakeoff(found, base, folder / "bakeoff.parquet")
    return Bakeoff(folder / "bakeoff.parquet", folder / "runs.parquet", folders, tuning)


def facts(rng: np.random.Generator, rank: int) -> dict[str, int]:
    return {"generated": 200, "right": int(150 - 4 * rank + rng.integers(0, 7))}


def losses(rng: np.random.Generator, rank: int, validated: bool) -> list[float | None]:
    """Every 50 steps, with a stop after 8 to 12 validations."""
    steps = 50 * np.arange(rng.integers(8, 13))
    values = 2.0 + 0.02 * rank + 2.5 * np.exp(-steps / 60) + 0.0003 * np.maximum(0, steps - 300)
    noise = rng.normal(0, 0.012, len(steps))
    noise[0] = -0.02 * rank
    return [float(value) if validated else None for value in values + noise]


def size(name: str) -> dict[str, int]:
    parameters = BUDGETS.get(name, 24_576)
    return {"parameters": parameters, "base_parameters": 0 if name == "full" else 1_005_312}


def write_tuning(path: Path, name: str, rates: Sequence[float], rank: int) -> Path:
    best = [2.05 + 0.02 * rank + 0.1 * (np.log2(rate / 4e-3)) ** 2 for rate in rates]
    rows = [
        {"strategy": name, "learning_rate": rate, "best_loss": loss, "chosen": loss == min(best)}
        for rate, loss in zip(rates, best, strict=True)
    ]
    write_table(path, rows, TUNING)
    return path
