"""The bake-off's table: every strategy's measures with intervals, and a verdict against standard and random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rewire import crossed, statistics
from rewire.crossed import Contrast
from rewire.errors import InputError
from rewire.lora.runs import LoraRun, read_articles
from rewire.lora.verdicts import BETTER, NO_DIFFERENCE, SEEDS, WORSE
from rewire.rouge import ROUGE
from rewire.statistics import ROUNDING
from rewire.tables import schema, write_table

REFERENCES = ("standard", "random")
BASE = "base"
SUMMARY_MEASURES = (*ROUGE, "facts")
RUN_MEASURES = ("validation_loss", "steps_to_standard")  # one number a run, none an article; lower is better
PARTS = ("", "_low", "_high", "_p", "_q", "_detectable")
SCHEMA = schema(
    strategy="string",
    measure="string",
    mean="float64",
    low="float64",
    high="float64",
    articles="int32",
    seeds="int32",
    parameters="int64",
    parameter_share="float64",
    reached="int32",  # of steps_to_standard: how many of the runs got there
    **{
        f"against_{name}{part}": "string" if part == "_verdict" else "float64"
        for name in REFERENCES
        for part in (*PARTS, "_verdict")
    },
)


@dataclass(frozen=True)
class Entry:
    """A strategy: its seeds in order, and each measure of its runs, [seeds, articles, 1] (articles is 1: none).

    ``tested``: whether its differences are a question of the contest, which has an adapter on either side.
    """

    seeds: list[int]
    values: Mapping[str, np.ndarray]
    size: Mapping[str, Any]
    tested: bool = True


def write_bakeoff(runs: Sequence[LoraRun], base: str | Path, path: str | Path, alpha: float = 0.05) -> None:
    """One row a strategy and measure: ROUGE F and facts right 0..100, validation loss in nats a token, training steps.

    ``base``: summaries of the model without training, for scale. It and strategies that train every parameter have
    differences with intervals but take no part in the tests: a difference that is no question would, in a family of
    tests, make every other look surer.
    Intervals and tests: ``rewire.crossed``, over articles and seeds; validation loss and steps have no articles and no
    interval below 5 seeds. Where a run never reached standard's loss, its strategy's steps have no mean, and no
    difference from another's: ``reached`` says how many did. Where seeds do not differ at all, how far they would
    cannot be known, and nothing is tested.
    q: Benjamini-Hochberg over the strategies of one measure and reference; the verdict follows from q <= ``alpha`` and
    the sign, and there is none where either side has fewer than SEEDS runs; detectable: the smallest true difference that
    would have been found with 80 % power.
    Errors: InputError that names the table of ``base`` if its articles are not the runs'.
    """
    _, untrained = read_articles(base, runs[0].ids if runs else None)
    entries = entries_of(runs)
    if BASE in entries:
        raise InputError(f"lora.strategies.{BASE}: this name is the model's without training, choose another")
    scale = {name: values[None, :, None] for name, values in untrained.items()}
    entries[BASE] = Entry([0], scale, {}, tested=False)
    compared = {
        measure: [differences(entries, measure, name, alpha) for name in REFERENCES if name in entries]
        for measure in (*SUMMARY_MEASURES, *RUN_MEASURES)
    }
    rows = [
        row(strategy, measure, entry, [found[strategy] for found in compared[measure] if strategy in found])
        for strategy, entry in entries.items()
        for measure in entry.values
    ]
    write_table(path, rows, SCHEMA)


def entries_of(runs: Sequence[LoraRun]) -> dict[str, Entry]:
    """The strategies in the order of their first run."""
    entries = {}
    for strategy in dict.fromkeys(run.strategy for run in runs):
        own = sorted((run for run in runs if run.strategy == strategy), key=lambda run: run.seed)
        values = {name: np.stack([run.articles[name] for run in own])[..., None] for name in SUMMARY_MEASURES}
        values |= {name: run_values([run.row for run in own], name) for name in RUN_MEASURES}
        size = {
            "parameters": round(np.mean([run.row["parameters"] for run in own])),
            "parameter_share": float(np.mean([run.row["parameter_share"] for run in own])),
        }
        adapted = size["parameter_share"] < 100
        entries[strategy] = Entry([run.seed for run in own], values, size, adapted)
    return entries


def run_values(rows: Sequence[Mapping[str, Any]], measure: str) -> np.ndarray:
    """[seeds, 1, 1] of a measure of runs; NaN where a run has none."""
    return np.array([row[measure] for row in rows], dtype=float)[:, None, None]  # None becomes NaN


def row(strategy: str, measure: str, entry: Entry, compared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values, over_articles = entry.values[measure], measure in SUMMARY_MEASURES
    found = crossed.contrast([values], over_articles)
    out = {
        "strategy": strategy,
        "measure": measure,
        "mean": number(found.value),
        "low": number(found.low),
        "high": number(found.high),
        "articles": values.shape[1] if over_articles else None,
        "seeds": len(entry.seeds),
        **entry.size,
    }
    if measure == "steps_to_standard":
        out["reached"] = int(np.isfinite(values).sum())
    for columns in compared:
        out |= columns
    return out


def differences(
    entries: Mapping[str, Entry], measure: str, reference: str, alpha: float
) -> dict[str, dict[str, Any]]:
    """Strategy -> its columns against ``reference``."""
    standard = entries[reference]
    found: dict[str, Contrast] = {}
    tested: list[str] = []
    for strategy, entry in entries.items():
        if strategy != reference and measure in entry.values:
            # one seed, one order of the training data: such runs are pairs
            paired = entry.seeds == standard.seeds and strategy != BASE
            parts = crossed.difference(entry.values[measure], standard.values[measure], paired)
            found[strategy] = crossed.contrast(parts, measure in SUMMARY_MEASURES)
            if entry.tested and not seeds_agree(parts):
                tested.append(strategy)
    q = dict(
        zip(
            tested, statistics.benjamini_hochberg([found[name].p[0] for name in tested]).tolist(), strict=True
        )
    )
    family = sum(math.isfinite(value) for value in q.values())
    columns = {}
    for name, contrast in found.items():
        own = comparison(contrast, q.get(name), family, measure, alpha)
        if min(len(entries[name].seeds), len(standard.seeds)) < SEEDS:
            own["_verdict"] = None
        columns[name] = {f"against_{reference}{part}": value for part, value in own.items()}
    return columns


def seeds_agree(parts: Sequence[np.ndarray]) -> bool:
    """Whether no part [seeds, articles, 1] of several seeds differs between them, beyond rounding."""
    means = [part.mean(axis=(1, 2)) for part in parts if len(part) > 1]
    return bool(means) and all(np.ptp(mean) <= ROUNDING * np.abs(mean).max() for mean in means)


def comparison(
    found: Contrast, q: float | None, family: int, measure: str, alpha: float
) -> dict[str, float | str | None]:
    """The columns of a difference by their endings; ``q``: None where it is not tested, NaN where it cannot be."""
    out: dict[str, float | str | None] = {
        "": number(found.value),
        "_low": number(found.low),
        "_high": number(found.high),
    }
    if q is not None and math.isfinite(q):
        better = (found.value[0] > 0) != (measure in RUN_MEASURES)
        out |= {
            "_p": number(found.p),
            "_q": q,
            "_detectable": number(crossed.detectable(found, family, alpha)),
            "_verdict": NO_DIFFERENCE if q > alpha else BETTER if better else WORSE,
        }
    return out


def number(value: np.ndarray) -> float | None:
    """The only element; None where it is not finite."""
    return float(value[0]) if np.isfinite(value[0]) else None
