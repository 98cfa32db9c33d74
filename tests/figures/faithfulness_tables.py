"""Made-up tables of the faithfulness stage, of the size of a real run: ten fractions, 20 random circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rewire.figures.areas import COLUMNS as AREA_COLUMNS
from rewire.figures.criteria import COLUMNS as CRITERION_COLUMNS
from rewire.figures.faithfulness import COLUMNS, MEASURES
from rewire.tables import schema, write_table

STEPS = {"base": 0, "step-000100": 100, "final": 1500}
FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
NAN = float("nan")
TEXTS = {"circuit", "ranking", "area", "criterion"}
WHOLE = {"normalised": 1.0, "kl": 0.0, "kl_reverse": 0.0, "kl_percentage": 100.0, "accuracy_ratio": 1.0}
NOTHING = {"normalised": 0.0, "kl": 1.5, "kl_reverse": 2.5, "kl_percentage": 0.0, "accuracy_ratio": 0.7}


def write(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Path:
    types = {name: "string" if name in TEXTS else "float64" for name in columns}
    write_table(path, rows, schema(**types))
    return path


def point(circuit: str, fraction: float, f: float, half: float, draw: int = 0) -> dict[str, Any]:
    """One circuit whose every measure is the share ``f`` of the way from the corrupted run to the whole model."""
    row: dict[str, Any] = {"circuit": circuit, "ranking": "absolute", "draw": draw, "fraction": fraction}
    for measure in MEASURES:
        value = NOTHING[measure] + f * (WHOLE[measure] - NOTHING[measure])
        row |= {measure: value, f"{measure}_low": value - half, f"{measure}_high": value + half}
    return row


def curve_table(
    folder: Path, checkpoint: str = "final", draws: int = 20, wild: bool = False, effect: float = 2.0
) -> Path:
    """``effect``: what corruption does to the NLL, give or take 0.5; ``wild``: f far outside at one fraction."""
    noise, rows = np.random.default_rng(STEPS[checkpoint]), []
    late = STEPS[checkpoint] / (STEPS[checkpoint] + 200)
    for fraction in FRACTIONS:
        own = 1.0 if fraction == 1 else 1 / (1 + np.exp(-3 * (np.log10(fraction) + 1.4 + late)))
        own = 2.4 if wild and fraction == 0.05 else own
        half = 0.08 * (fraction < 1)
        rows += [point("held-out", fraction, own, half), point("circuit", fraction, own + 0.02, half)]
        rows.append(point("held-out", fraction, own + 0.1, half) | {"ranking": "signed"})
        rows.append(point("other-task", fraction, own**2, half))
        for draw in range(draws):
            chance = 1.0 if fraction == 1 else own**4 + noise.normal(0, 0.05)
            rows.append(point("random", fraction, chance, 0.1, draw))
    for run, f in (("clean", 1.0), ("corrupted", 0.0)):
        excess = {"nll_excess_low": (1 - f) * effect - 0.5, "nll_excess_high": (1 - f) * effect + 0.5}
        rows.append(point(run, NAN, f, 0.0) | {"ranking": None} | excess)
    return write(folder / f"{checkpoint}-curve.parquet", rows, COLUMNS)


def areas_table(folder: Path, checkpoint: str = "final", interval: bool = True, examples: int = 32) -> Path:
    noise, rows = np.random.default_rng(STEPS[checkpoint]), []
    half = 0.03 if interval else NAN
    for area, best, null in (("CPR", 0.9, 0.4), ("CMD", 0.1, 0.55)):
        kinds = [("held-out", 0, best), ("circuit", 0, best + 0.01), ("other-task", 0, (best + null) / 2)]
        kinds += [("random", draw, null + noise.normal(0, 0.05)) for draw in range(20)]
        for circuit, draw, value in kinds:
            row = {"area": area, "circuit": circuit, "draw": draw, "examples": examples}
            rows.append(row | {"value": value, "low": value - half, "high": value + half})
    return write(folder / f"{checkpoint}-areas.parquet", rows, AREA_COLUMNS)


def criteria_table(
    folder: Path,
    checkpoint: str = "final",
    edges: int = 40,
    interval: bool = True,
    examples: int = 16,
    kept: int = 40,
) -> Path:
    """``edges`` of the circuit's ``kept`` are dropped."""
    noise = np.random.default_rng(STEPS[checkpoint])
    half = 0.05 if interval else NAN
    rows: list[dict[str, Any]] = []

    def add(criterion: str, value: float, circuit: str = "circuit", draw: int = 0, q: float = NAN) -> None:
        row = {"criterion": criterion, "circuit": circuit, "draw": draw, "q": q, "examples": examples}
        rows.append(row | {"edges": kept, "value": value, "low": value - half, "high": value + half})

    for criterion, value in (("necessity", 0.05), ("completeness, random", 0.2)):
        add(criterion, value)
        for draw in range(20):
            add(criterion, value + noise.exponential(0.2), "random", draw)
    add("completeness, greedy", 0.5)
    add("completeness, greedy", 1.6, "random")
    for edge in range(edges):
        effect = 0.4 * np.exp(-edge / 6) - 0.01
        add("minimality", effect, q=0.01 if edge < 10 else 0.5)
        add("minimality", noise.normal(0, 0.01), "random", edge % 20)
    return write(folder / f"{checkpoint}-criteria.parquet", rows, CRITERION_COLUMNS)
