"""The bake-off's table: every strategy's measures with intervals, and its distance from standard and random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewire import statistics
from rewire.errors import InputError
from rewire.rouge import ROUGE
from rewire.tables import read_table, schema, write_table

REFERENCES = ("standard", "random")
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
    **{f"against_{name}{part}": "float64" for name in REFERENCES for part in ("", "_low", "_high")},
)

Run = tuple[str, int]  # strategy, seed


def write_bakeoff(
    summaries: Mapping[Run, str | Path],
    plans: Mapping[Run, str | Path],
    whole: Mapping[str, str | Path],
    path: str | Path,
) -> None:
    """One row a strategy and measure (ROUGE F 0..100, fact share 0..100).

    ``summaries``, ``plans``: tables of every run. ``whole``: summaries of ``base`` and ``full`` fine-tuning, for
    scale. Intervals and differences are over articles, each article's value a mean over the strategy's seeds.
    """
    by_strategy: dict[str, list[Mapping[str, np.ndarray]]] = {}
    ids: list[str] | None = None
    for (strategy, _), file in [*summaries.items(), *(((name, 0), file) for name, file in whole.items())]:
        table = read_table(file)
        if ids is not None and table["id"].to_pylist() != ids:
            raise InputError(f"{file}: its articles differ from the other runs'")
        ids = table["id"].to_pylist()
        by_strategy.setdefault(strategy, []).append(article_measures(table))
    means = {name: average(runs) for name, runs in by_strategy.items()}
    sizes = {strategy: read_table(file).to_pylist()[0] for (strategy, _), file in plans.items()}
    rows = []
    for strategy, measured in means.items():
        for measure, values in measured.items():
            estimate = statistics.mean(values)
            rows.append(
                {
                    "strategy": strategy,
                    "measure": measure,
                    "mean": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "articles": len(values),
                    "seeds": len(by_strategy[strategy]),
                    **size(sizes.get(strategy)),
                    **against(measure, strategy, means),
                }
            )
    write_table(path, rows, SCHEMA)


def article_measures(table: Any) -> dict[str, np.ndarray]:
    """[articles] of each measure."""
    columns = {name: table[name].to_numpy() for name in ROUGE}
    generated = np.maximum(table["facts_generated"].to_numpy(), 1)
    columns["facts"] = 100 * table["facts_right"].to_numpy() / generated
    return columns


def average(runs: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}


def size(plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """Trainable parameters, and their share of base and adapter parameters together in percent."""
    if plan is None:
        return {}
    total = plan["parameters"] + plan["base_parameters"]
    return {"parameters": plan["parameters"], "parameter_share": 100 * plan["parameters"] / total}


def against(measure: str, strategy: str, means: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    out: dict[str, float] = {}
    for reference in REFERENCES:
        if reference in means and reference != strategy:
            difference = statistics.mean_difference(means[strategy][measure], means[reference][measure])
            out[f"against_{reference}"] = difference.value
            out[f"against_{reference}_low"], out[f"against_{reference}_high"] = (
                difference.low,
                difference.high,
            )
    return out
