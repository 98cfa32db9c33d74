"""Synthetic tables of the evolution stage: six checkpoints after the base, against the previous one and the base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {"checkpoint": "string", "step": "int64", "reference": "string"}


def comparisons(tables: Any) -> Iterator[tuple[dict[str, Any], float]]:
    """The columns of each comparison, and how much of the edges is left."""
    names = list(tables.steps)
    for i, name in enumerate(names[1:], start=1):
        for reference in ("previous", "base"):
            bump = 0.95 - 0.5 * np.exp(-((i - 3) ** 2) / 3)
            left = bump if reference == "previous" else 0.25 + 0.7 * np.exp(-i / 2)
            yield {"checkpoint": name, "step": tables.steps[name], "reference": reference}, float(left)


def changes(tables: Any, known: bool = True) -> Path:
    """Every measure with its interval and ranges; without them if not ``known``."""
    rows = []
    for names, left in comparisons(tables):
        values = {"edge_jaccard": left, "node_jaccard": min(1, left + 0.2)}
        values |= {"weighted_jaccard": left - 0.1, "spearman": 2 * left - 1.2}
        for measure, value in values.items():
            row = names | {"measure": measure, "value": value}
            if known:
                row |= {"low": value - 0.1, "high": value + 0.05}
                ranges = {"floor": 0.8, "reference_floor": 0.75}
                if measure.endswith("e_jaccard"):
                    ranges["random"] = 0.2
                for name, mean in ranges.items():
                    row |= {name: mean, f"{name}_low": mean - 0.08, f"{name}_high": mean + 0.06}
            rows.append(row)
    ranges = ("floor", "reference_floor", "random")
    numbers = ("value", "low", "high", *(f"{n}{b}" for n in ranges for b in ("", "_low", "_high")))
    columns = NAMES | {"measure": "string"} | dict.fromkeys(numbers, "float64")
    return tables.write("changes.parquet", rows, columns)


def circuits(tables: Any) -> Path:
    rows = [
        names | {"edges_born": int(60 * (1 - left)) + 1, "edges_lost": int(60 * (1 - left))}
        for names, left in comparisons(tables)
    ]
    return tables.write(
        "circuits.parquet", rows, NAMES | dict.fromkeys(("edges_born", "edges_lost"), "int32")
    )


def layers(tables: Any, n_layers: int = 4) -> Path:
    """Layer l starts with 10 + l edges, gains l of them and loses one; the last layer has none at all."""
    rows = []
    for names, _ in comparisons(tables):
        for end, own in (("source", range(-1, n_layers)), ("destination", range(n_layers + 1))):
            for layer in own:
                some = layer < n_layers - 1
                counts = {"edges_before": 10 + layer, "edges_born": layer + 1, "edges_lost": 1}
                counts = {name: count * some for name, count in counts.items()}
                rows.append(names | {"end": end, "layer": layer} | counts)
    columns = NAMES | {"end": "string", "layer": "int32"}
    counts = ("edges_before", "edges_born", "edges_lost")
    return tables.write("layers.parquet", rows, columns | dict.fromkeys(counts, "int32"))


def edge_centric(tables: Any, known: bool = True) -> Path:
    """The hypothesis; without floor, statistic and p if not ``known``."""
    verdicts = ("supported", "not supported", "inconclusive")
    rows = []
    for number, (names, left) in enumerate(comparisons(tables)):
        row = names | {"edge_change": 1 - left, "node_change": 0.5 * (1 - left), "alpha": 0.05}
        row |= {"edge_replaced": 0.9, "node_replaced": 0.6, "verdict": "inconclusive"}
        for prefix in ("", "reference_"):
            row |= {f"{prefix}false_positives_pairs": 100 * known, f"{prefix}power_pairs": 40 * known}
        if known:
            row |= {"edge_floor": 0.2, "node_floor": 0.1, "p": 0.03, "verdict": verdicts[number % 3]}
            row |= {"statistic": 0.1, "low": -0.02, "high": 0.2}
            row |= {"false_positives": 0.01, "power": 0.875}
            row |= {"reference_false_positives": 0.03, "reference_power": 0.0 if number else 0.875}
        rows.append(row)
    numbers = ("edge_change", "node_change", "edge_floor", "node_floor", "edge_replaced", "node_replaced")
    shares = [f"{prefix}{share}" for prefix in ("", "reference_") for share in ("false_positives", "power")]
    more = ("statistic", "low", "high", "p", "alpha", *shares)
    columns = NAMES | dict.fromkeys((*numbers, *more), "float64") | {"verdict": "string"}
    pairs = dict.fromkeys((f"{share}_pairs" for share in shares), "int32")
    return tables.write("edge_centric.parquet", rows, columns | pairs)
