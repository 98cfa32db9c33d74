"""Published claims beside our numbers; the verdict follows from a rule in the config, never from a person.

Definitions: docs/definitions.md, "Claims". A measure reads the tables of one run (model and dataset).
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rewire import statistics
from rewire.errors import InputError
from rewire.statistics import Estimate
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(
    claim="string",
    statement="string",
    source="string",
    published="string",
    model="string",
    dataset="string",
    value="float64",
    low="float64",
    high="float64",
    n="int32",
    unit="string",
    verdict="string",
)

Tables = Mapping[str, str | Path]  # name -> parquet file of one run


def write_claims(
    runs: Mapping[tuple[str, str], Tables],
    claims: Mapping[str, Mapping[str, Any]],
    parquet: str | Path,
    tsv: str | Path,
    identities: Mapping[str, str] | None = None,
) -> None:
    """One row a run and claim, to a parquet and a tab-separated table. ``runs``: (model, dataset) -> tables.

    ``identities``: model -> Hub id, of the models that come from the Hub.
    """
    rows = [
        judge(name, claim, model, dataset, tables, (identities or {}).get(model))
        for (model, dataset), tables in runs.items()
        for name, claim in claims.items()
    ]
    write_table(parquet, rows, SCHEMA)
    partial = Path(tsv).with_name(f".{Path(tsv).name}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, SCHEMA.names, dialect="excel-tab", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    os.replace(partial, tsv)


def judge(
    name: str, claim: Mapping[str, Any], model: str, dataset: str, tables: Tables, identity: str | None = None
) -> dict[str, Any]:
    """The row of one claim in one run; ``identity``: the model's Hub id, if it has one. Errors: InputError for a measure that does not exist."""
    row: dict[str, Any] = {"claim": name, "model": model, "dataset": dataset}
    row |= {key: claim.get(key) for key in ("statement", "source", "published")}
    if claim["rule"].get("test", "edge_centric") not in TESTS:
        raise InputError(
            f"claims.{name}.rule.test: {claim['rule']['test']!r} is not one of {', '.join(TESTS)}"
        )
    if claim["measure"] not in MEASURES:
        raise InputError(f"claims.{name}.measure: {claim['measure']!r} is not one of {', '.join(MEASURES)}")
    measure, unit = MEASURES[claim["measure"]]
    result = None
    if "about" not in claim or identity in claim["about"]:
        with suppress(NotRun):
            result = measure(tables)
    if result is None:
        return row | {"value": None, "low": None, "high": None, "n": None, "unit": unit, "verdict": "not run"}
    given = {
        key: None if math.isnan(number) else number
        for key, number in (("value", result.value), ("low", result.low), ("high", result.high))
    }
    rule = claim["rule"]
    found = TESTS[rule["test"]](tables) if "test" in rule else verdict(result, rule)
    return row | given | {"n": result.n, "unit": unit, "verdict": found}


def verdict(result: Estimate, rule: Mapping[str, Any]) -> str:
    """``supported``, ``not supported`` or ``inconclusive`` by where the interval lies; see config/claims.yaml."""
    if math.isnan(result.low) or math.isnan(result.high):
        return "inconclusive"
    floor, ceiling = -math.inf, math.inf
    if "above" in rule:
        floor = math.nextafter(rule["above"], math.inf)
    elif "below" in rule:
        ceiling = math.nextafter(rule["below"], -math.inf)
    else:
        floor, ceiling = rule["between"]
    if floor <= result.low and result.high <= ceiling:
        return "supported"
    if result.high < floor or result.low > ceiling:
        return "not supported"
    return "inconclusive"


class NotRun(Exception):
    """The run does not have a table that the measure reads."""


def frame(tables: Tables, name: str) -> Any:
    if name not in tables:
        raise NotRun(name)
    return read_table(tables[name]).to_pandas()


def effect(tables: Tables, corruption: str) -> np.ndarray | None:
    """[examples]: NLL(corrupted) - NLL(clean) of the last checkpoint, or None if the corruption was not run."""
    table = frame(tables, "effect")
    last = table["checkpoint"].iloc[-1]
    chosen = table[(table["corruption"] == corruption) & (table["checkpoint"] == last)].sort_values("id")
    return (chosen["nll_corrupted"] - chosen["nll_clean"]).to_numpy() if len(chosen) else None


def mask_effect(tables: Tables) -> Estimate | None:
    masked = effect(tables, "mask")
    return None if masked is None else statistics.mean(masked)


def mask_minus_random_effect(tables: Tables) -> Estimate | None:
    masked, control = effect(tables, "mask"), effect(tables, "random")
    return None if masked is None or control is None else statistics.mean_difference(masked, control)


def rouge1_gain(tables: Tables) -> Estimate:
    before, after = (frame(tables, name)["rouge1"] for name in ("summaries_base", "summaries"))
    return statistics.mean_difference(after, before)


def share_of_heads_with_falling_entropy(tables: Tables) -> Estimate:
    """Share of heads whose mean entropy change is below 0; the interval resamples examples."""
    table = frame(tables, "heads")
    table["change"] = table["entropy"] - table["entropy_base"]
    changes = table.pivot(
        index="id", columns=["layer", "head"], values="change"
    ).to_numpy()  # [examples, heads]
    rows = np.arange(len(changes))
    return statistics.estimate([rows], lambda index, axis=-1: falling_share(changes, index))


def falling_share(changes: np.ndarray, index: np.ndarray) -> Any:
    """Share of columns of changes[index] with a negative mean; ``index`` [..., n] may hold many resamples."""
    return (changes[index.astype(int)].mean(axis=-2) < 0).mean(axis=-1)


def attention_kl_peak(tables: Tables) -> Estimate:
    table = frame(tables, "heads")
    changes = table.groupby(["id", "layer"])["attention_kl"].mean().unstack().to_numpy()  # [examples, layers]
    rows = np.arange(len(changes))
    return statistics.estimate(
        [rows], lambda index, axis=-1: changes[index.astype(int)].mean(axis=-2).argmax(axis=-1).astype(float)
    )


def at_ten_percent(table: Any) -> Any:
    """The rows of circuits of 10 % of edges, by |score|."""
    return table[np.isclose(table["fraction"].fillna(-1), 0.1) & (table["ranking"] == "absolute")]


def circuit_minus_best_random(tables: Tables) -> Estimate | None:
    """f of the circuit at 10 % of edges minus the largest f of its random circuits; examples resampled for all alike.

    Each example is judged by the circuit that the other examples score.
    """
    table = frame(tables, "faithfulness")
    at = at_ten_percent(table)
    if not (at["circuit"] == "held-out").any():
        return None
    rows = {name: table[table["circuit"] == name]["nll"].iloc[0] for name in ("clean", "corrupted")}
    circuit = at[at["circuit"] == "held-out"]["nll"].iloc[0]
    randoms = np.stack(at[at["circuit"] == "random"]["nll"].to_list())  # [draws, examples]
    values = np.vstack([rows["clean"], rows["corrupted"], circuit, randoms])

    def lead(index: np.ndarray, axis: int = -1) -> np.ndarray:
        means = values[:, index.astype(int)].mean(axis=-1)  # [rows, ...]
        faithful = (means[2:] - means[1]) / (means[0] - means[1])
        return faithful[0] - faithful[1:].max(axis=0)

    return statistics.estimate([np.arange(values.shape[1])], lead)


def fact_share(name: str) -> Callable[[Tables], Estimate]:
    """Right names and numbers over all that were generated, percent, pooled over articles."""

    def measure(tables: Tables) -> Estimate:
        table = frame(tables, name)

        def share(right: np.ndarray, generated: np.ndarray, axis: int = -1) -> np.ndarray:
            return 100 * right.sum(axis=axis) / np.maximum(generated.sum(axis=axis), 1)

        return statistics.estimate([table["facts_right"], table["facts_generated"]], share)

    return measure


def rouge1(tables: Tables) -> Estimate:
    return statistics.mean(frame(tables, "summaries")["rouge1"])


def kl_percentage_change(tables: Tables) -> Estimate | None:
    """The interval is that of two independent numbers at its widest: the low of one minus the high of the other."""
    rows = []
    for name in ("faithfulness_base", "faithfulness"):
        table = frame(tables, name)
        at = at_ten_percent(table)
        at = at[at["circuit"] == "held-out"]
        if not len(at):
            return None
        rows.append(at.iloc[0])
    before, after = rows
    return Estimate(
        after["kl_percentage"] - before["kl_percentage"],
        after["kl_percentage_low"] - before["kl_percentage_high"],
        after["kl_percentage_high"] - before["kl_percentage_low"],
        int(after["examples"]),
    )


def against_base(tables: Tables, name: str) -> Any:
    """The rows of the last checkpoint's comparison with the base."""
    table = frame(tables, name)
    table = table[table["reference"] == "base"]
    return table[table["step"] == table["step"].max()]


def edge_jaccard_to_base(tables: Tables) -> Estimate:
    rows = against_base(tables, "evolution")
    row = rows[rows["measure"] == "edge_jaccard"].iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["examples"]))


def edge_change_beyond_floor(tables: Tables) -> Estimate:
    """Jaccard of two resamples of one model minus Jaccard of base and last checkpoint; the less stable model's floor.

    The interval is the 5-95 % range of that floor, less what was observed.
    """
    rows = against_base(tables, "evolution")
    row = rows[rows["measure"] == "edge_jaccard"].iloc[0]
    floor = "floor" if row["floor"] < row["reference_floor"] else "reference_floor"
    value, low, high = (row[f"{floor}{end}"] - row["value"] for end in ("", "_low", "_high"))
    return Estimate(value, low, high, int(row["examples"]))


def edges_beyond_nodes(tables: Tables) -> Estimate:
    """Node change that the edge change would imply if nodes were replaced, minus the node change, less the noise floor's."""
    row = against_base(tables, "edge_centric").iloc[0]
    return Estimate(row["statistic"], row["low"], row["high"], int(row["examples"]))


def edge_centric_verdict(tables: Tables) -> str:
    return str(against_base(tables, "edge_centric").iloc[0]["verdict"])


def bootstrap_jaccard(tables: Tables) -> Estimate:
    """Mean edge Jaccard of the circuits of two resamples of the last checkpoint's examples, over pairs of resamples."""
    table = frame(tables, "agreement")
    rows = table[table["study"] == "bootstrap"]
    last = table[table["study"] == "noise"]["model"].iloc[0]
    return statistics.mean(rows[rows["model"] == last]["edge_jaccard"])


def share_of_layers_with_falling_entropy(tables: Tables) -> Estimate:
    table = frame(tables, "differential")
    row = table[table["measure"] == "share_of_layers_with_falling_entropy"].iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"]))


def lora_difference(strategy: str, reference: str) -> Callable[[Tables], Estimate | None]:
    """ROUGE-1 of a strategy minus that of a reference strategy, from the bake-off's table."""

    def measure(tables: Tables) -> Estimate | None:
        table = frame(tables, "bakeoff")
        row = table[(table["strategy"] == strategy) & (table["measure"] == "rouge1")]
        column = f"against_{reference}"
        if not len(row) or math.isnan(row.iloc[0][column]):
            return None
        found = row.iloc[0]
        return Estimate(
            found[column], found[f"{column}_low"], found[f"{column}_high"], int(found["articles"])
        )

    return measure


NATS = "nats/token"
POINTS = "ROUGE-1 points"
MEASURES: dict[str, tuple[Callable[[Tables], Estimate | None], str]] = {
    "mask_effect": (mask_effect, NATS),
    "mask_minus_random_effect": (mask_minus_random_effect, NATS),
    "rouge1_gain": (rouge1_gain, POINTS),
    "rouge1": (rouge1, "ROUGE-1"),
    "base_fact_share": (fact_share("summaries_base"), "percent of facts"),
    "fact_share": (fact_share("summaries"), "percent of facts"),
    "share_of_heads_with_falling_entropy": (share_of_heads_with_falling_entropy, "share of heads"),
    "attention_kl_peak": (attention_kl_peak, "layer"),
    "circuit_minus_best_random": (circuit_minus_best_random, "normalised faithfulness"),
    "kl_percentage_change": (kl_percentage_change, "percentage points"),
    "edge_jaccard_to_base": (edge_jaccard_to_base, "Jaccard"),
    "edge_change_beyond_floor": (edge_change_beyond_floor, "Jaccard"),
    "edges_beyond_nodes": (edges_beyond_nodes, "1 - Jaccard"),
    "bootstrap_jaccard": (bootstrap_jaccard, "Jaccard"),
    "share_of_layers_with_falling_entropy": (share_of_layers_with_falling_entropy, "share of layers"),
    "lora_circuit_minus_standard": (lora_difference("circuit", "standard"), POINTS),
    "lora_circuit_minus_random": (lora_difference("circuit", "random"), POINTS),
    "lora_targeted_minus_standard": (lora_difference("targeted", "standard"), POINTS),
    "lora_random_minus_standard": (lora_difference("random", "standard"), POINTS),
}
# tests that give a verdict themselves, by more than where one interval lies
TESTS: dict[str, Callable[[Tables], str]] = {"edge_centric": edge_centric_verdict}
