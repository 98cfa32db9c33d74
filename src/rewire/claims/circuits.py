"""Measures of circuits: faithfulness, robustness, evolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rewire import statistics
from rewire.claims.frames import Tables, frame
from rewire.statistics import Estimate


def at_ten_percent(table: Any) -> Any:
    """The rows of circuits of 10 % of edges, by |score|."""
    return table[np.isclose(table["fraction"].fillna(-1), 0.1) & (table["ranking"] == "absolute")]


def circuit_minus_best_random(tables: Tables) -> Estimate | None:
    """f of the circuit at 10 % of edges minus the largest f of its random circuits; examples resampled for all alike.

    Each example is judged by the circuit that the other examples score. See ``settled`` for when there is no interval.
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

    return settled(statistics.estimate([np.arange(values.shape[1])], lead), table)


def settled(measured: Estimate, *models: Any) -> Estimate:
    """``measured`` without its interval if corruption may do nothing to one of the ``models`` (faithfulness tables).

    The condition of ``faithfulness.measures.settled``: the interval of b' - b holds 0.
    """
    for table in models:
        clean, corrupted = (table[table["circuit"] == run]["nll"].iloc[0] for run in ("clean", "corrupted"))
        effect = statistics.mean_difference(corrupted, clean)
        if effect.low <= 0 <= effect.high:
            return replace(measured, low=math.nan, high=math.nan)
    return measured


def kl_columns(tables: Tables, name: str) -> list[np.ndarray] | None:
    """KL(corrupted || whole) and KL(corrupted || circuit of 10 % of edges, held out), each [examples]; None if not run."""
    table = frame(tables, name)
    at = at_ten_percent(table)
    at = at[at["circuit"] == "held-out"]
    if not len(at):
        return None
    whole = table[table["circuit"] == "clean"]
    return [np.asarray(rows["kl_corrupted"].iloc[0], dtype=float) for rows in (whole, at)]


def percentage(whole: np.ndarray, circuit: np.ndarray, axis: int = -1) -> np.ndarray:
    """kl_percentage of KLs [..., examples]: 100 (1 - |B - C| / B) of their means."""
    b, c = whole.mean(axis=axis), circuit.mean(axis=axis)
    return 100 * (1 - np.abs(b - c) / b)


def kl_percentage(name: str) -> Callable[[Tables], Estimate | None]:
    """kl_percentage of the circuit of 10 % of edges, from the faithfulness table of that ``name``; see ``settled``."""

    def measure(tables: Tables) -> Estimate | None:
        columns = kl_columns(tables, name)
        if columns is None:
            return None
        return settled(statistics.estimate(columns, percentage), frame(tables, name))

    return measure


def kl_percentage_change(tables: Tables) -> Estimate | None:
    """kl_percentage of the last checkpoint's circuit minus the base's; both models' examples are resampled together."""
    names = "faithfulness", "faithfulness_base"
    after, before = (kl_columns(tables, name) for name in names)
    if after is None or before is None:
        return None

    def change(b: np.ndarray, c: np.ndarray, b0: np.ndarray, c0: np.ndarray, axis: int = -1) -> np.ndarray:
        return percentage(b, c, axis) - percentage(b0, c0, axis)

    found = statistics.estimate([*after, *before], change)
    return settled(found, *(frame(tables, name) for name in names))


def against_base(tables: Tables, name: str) -> Any:
    """The rows of the last checkpoint's comparison with the base."""
    table = frame(tables, name)
    table = table[table["reference"] == "base"]
    return table[table["step"] == table["step"].max()]


def edge_jaccard_row(tables: Tables) -> Any:
    """The row of the edge Jaccard of the last checkpoint's circuit and the base's."""
    rows = against_base(tables, "evolution")
    return rows[rows["measure"] == "edge_jaccard"].iloc[0]


def edge_jaccard_to_base(tables: Tables) -> Estimate:
    row = edge_jaccard_row(tables)
    return Estimate(row["value"], row["low"], row["high"], int(row["examples"]))


def edge_change_beyond_floor(tables: Tables) -> Estimate:
    """Jaccard of two samples of one model, the less stable, minus that of base and last checkpoint.

    The interval has the spread of either (``evolution.changes.beyond_floor``).
    """
    row = edge_jaccard_row(tables)
    return Estimate(row["beyond"], row["beyond_low"], row["beyond_high"], int(row["examples"]))


def edges_beyond_nodes(tables: Tables) -> Estimate:
    """Node change that the edge change would imply if nodes were replaced, minus the node change, less the noise floor's."""
    row = against_base(tables, "edge_centric").iloc[0]
    return Estimate(row["statistic"], row["low"], row["high"], int(row["examples"]))


def edge_centric_verdict(tables: Tables) -> str:
    return str(against_base(tables, "edge_centric").iloc[0]["verdict"])


def bootstrap_jaccard(tables: Tables) -> Estimate | None:
    """Mean edge Jaccard of the circuits of two resamples of the last checkpoint's examples; the interval is over examples."""
    table = frame(tables, "agreement")
    last = table[table["study"] == "corruption"]["model"].iloc[0]
    rows = table[(table["study"] == "bootstrap") & (table["model"] == last)]
    if not len(rows):
        return None
    row = rows.iloc[0]
    value = float(rows["edge_jaccard"].mean())
    return Estimate(value, row["edge_mean_low"], row["edge_mean_high"], int(row["examples"]))
