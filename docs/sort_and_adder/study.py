"""What the tables share: models, scores, pairs that scored nothing, and how a number is written.

Scores come from pairs 0..159 of a kind; circuits and knock-outs are judged on pairs 160..319. Intervals are 95 %
bootstrap intervals over pairs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trained_models import KINDS, Task, load_trained, make_pairs

from rewire import statistics
from rewire.circuits import attribution, evaluation
from rewire.circuits.selection import Circuit, Scores
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.statistics import Estimate

Array = NDArray[np.float64]
SCORED, JUDGED = 160, 160
SINGLE = ["units", "tens", "carry", "hundreds", "0|1", "1|2"]  # kinds with one target token
METHODS: dict[str, dict[str, Any]] = {
    "exact": {"method": "exact"},
    "EAP": {"method": "EAP"},
    "clean-corrupted": {"method": "clean-corrupted"},
    "EAP-IG-inputs, left 5": {"steps": 5, "grid": "left"},
    "EAP-IG-inputs, midpoint 5": {"steps": 5, "grid": "midpoint"},
    "EAP-IG-inputs, midpoint 10": {"steps": 10, "grid": "midpoint"},
    "EAP-IG-inputs, midpoint 100": {"steps": 100, "grid": "midpoint"},
    "EAP-IG-activations, midpoint 5": {"method": "EAP-IG-activations", "steps": 5, "grid": "midpoint"},
}
INTEGRATED = "EAP-IG-inputs, midpoint 10"


@cache
def model_of(task: Task) -> Model:
    return load_trained(Path(os.environ["REWIRE_MATERIAL"]).resolve(), task)


@cache
def scores_of(kind: str, metric: str, method: str) -> Scores:
    """Scores of every edge on the kind's pairs for scoring, each example's kept."""
    pairs = make_pairs(kind, SCORED)
    return attribution.attribute(model_of(KINDS[kind].task), pairs, metric, examples=True, **METHODS[method])


@cache
def judged(kind: str) -> TokenPairs:
    return make_pairs(kind, JUDGED, start=SCORED)


def measured(kind: str, circuits: Sequence[Circuit], metric: str) -> Array:
    """[circuits, examples] on the pairs that scored nothing."""
    model = model_of(KINDS[kind].task)
    return evaluation.evaluate(model, circuits, judged(kind), [metric])[metric].double().numpy()


def all_right(kind: str, circuits: Sequence[Circuit]) -> Array:
    """[circuits, examples]: 1 where every target token is the most likely one, else 0."""
    return (measured(kind, circuits, "accuracy") > 1 - 1e-6).astype(float)


def name_of(task: Task) -> str:
    """``adder`` or ``sort``."""
    return Path(task.folder).parts[1]


def shown(value: Estimate | float, digits: int = 2) -> str:
    """``0.97 [0.95, 0.98]``, or the number alone where nothing varies."""
    if isinstance(value, Estimate):
        centre, low, high = (shown(x, digits) for x in (value.value, value.low, value.high))
        return centre if value.low == value.high else f"{centre} [{low}, {high}]"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00


def mean(values: Any, digits: int = 2) -> str:
    """The mean of ``values`` [n] with its interval, as text."""
    return shown(statistics.mean(values), digits)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table under a bold title."""
    lines = [header, ["---"] * len(header), *rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"**{title}**\n\n{body}\n\n"
