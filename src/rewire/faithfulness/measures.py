"""How faithful circuits are, with intervals, from their metrics on each example.

Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rewire.faithfulness.resamples import Resamples, ratio
from rewire.statistics import Array

if TYPE_CHECKING:  # tables and figures read their measures without torch
    from torch import Tensor

METRICS = ("nll", "kl", "kl_reverse", "kl_corrupted", "accuracy")  # what the measures are made of

Values = Mapping[str, Array]  # metric -> [..., examples]


def as_arrays(values: Mapping[str, Tensor]) -> dict[str, Array]:
    """An evaluation's tensors as float64 arrays."""
    return {metric: value.double().numpy() for metric, value in values.items()}


def measures(circuits: Values, clean: Values, corrupted: Values, resamples: Resamples) -> dict[str, Array]:
    """Each measure's value, low and high: [circuits, 3].

    ``circuits``: METRICS of each circuit [circuits, N]; ``clean``, ``corrupted``: the whole model's [N]. The interval
    is over the same resampled examples for all of them.
    """
    circuit = {metric: resamples.means(circuits[metric]) for metric in METRICS}  # [circuits, 1 + resamples]
    whole = {metric: resamples.means(clean[metric]) for metric in METRICS}
    nothing = resamples.means(corrupted["nll"])
    percentage = kl_percentage(whole["kl_corrupted"], circuit["kl_corrupted"])
    right = ratio(circuit["accuracy"], whole["accuracy"])
    return {
        "normalised": normalised_interval(circuit["nll"], whole["nll"], nothing, resamples),
        "nll_excess": resamples.interval(circuit["nll"] - whole["nll"]),
        "kl": resamples.interval(circuit["kl"]),
        "kl_reverse": resamples.interval(circuit["kl_reverse"]),
        "kl_percentage": resamples.interval(percentage),
        "accuracy": resamples.interval(circuit["accuracy"]),
        "accuracy_ratio": resamples.interval(right),
    }


def normalised(m: Array, clean: Array, corrupted: Array) -> Array:
    """f = (m - b') / (b - b') of mean metrics: 1 for the whole model, 0 for the corrupted one; NaN where b = b'."""
    return ratio(np.asarray(m) - corrupted, np.asarray(clean) - corrupted)


def normalised_interval(m: Array, clean: Array, corrupted: Array, resamples: Resamples) -> Array:
    """f with its interval [..., 3] from means [..., 1 + resamples]; see ``settled``."""
    return settled(resamples.interval(normalised(m, clean, corrupted)), clean, corrupted, resamples)


def settled(measured: Array, clean: Array, corrupted: Array, resamples: Resamples) -> Array:
    """``measured`` [..., 3] without its intervals if b' - b may be 0: the interval of b' - b holds 0.

    A ratio has no bounded interval where its denominator may be 0 (Fieller, 1954).
    """
    _, low, high = resamples.interval(corrupted - clean)
    if low <= 0 <= high:
        measured = measured.copy()
        measured[..., 1:] = np.nan
    return measured


def kl_percentage(far: Array, reached: Array) -> Array:
    """(1 - |B - C| / B) * 100 of B = KL(corrupted || whole) and C = KL(corrupted || circuit), means over examples.

    It rewards any output that is as far from the corrupted one as the whole model's is.
    """
    return 100 * (1 - ratio(np.abs(far - reached), far))


def columns(measured: Mapping[str, Array], number: int) -> dict[str, Any]:
    """One circuit's measures as the columns of a table: value, ``_low`` and ``_high``."""
    return {
        name + suffix: float(values[number, place])
        for name, values in measured.items()
        for place, suffix in enumerate(("", "_low", "_high"))
    }
