"""Necessity: what is left of the behaviour when the circuit's edges are taken out of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rewire.circuits import evaluation
from rewire.circuits.controls import complement
from rewire.circuits.selection import Circuit
from rewire.faithfulness.measures import as_arrays, normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.faithfulness.trial import Trial, as_low
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.statistics import Array


def rows(trial: Trial) -> Iterator[dict[str, Any]]:
    """f of the circuit's complement, and of the complements of its random counterparts."""
    model, pairs, batch_tokens = trial.model, trial.judged, trial.batch_tokens
    runs = evaluation.evaluate_baselines(model, pairs, ["nll"], batch_tokens)
    whole = {run: as_arrays(values) for run, values in runs.items()}
    found = measured([trial.circuit, *trial.random], whole, trial.resamples, model, pairs, batch_tokens)
    (value, low, high), null = found[0], found[1:, 0]
    own = {"criterion": "necessity", "circuit": "circuit", "draw": 0}
    p = None if np.isnan(low) else as_low(value, null)
    yield own | {"value": value, "low": low, "high": high, "p": p}
    for draw, value in enumerate(null):
        yield {"criterion": "necessity", "circuit": "random", "draw": draw, "value": value}


def measured(
    circuits: Sequence[Circuit],
    whole: Mapping[str, Mapping[str, Array]],
    resamples: Resamples,
    model: Model,
    pairs: TokenPairs,
    batch_tokens: int,
) -> Array:
    """[circuits, 3]: f of each one's complement, with its interval. ``whole``: the ``clean`` and ``corrupted`` run's nll, [examples]."""
    complements = [complement(circuit) for circuit in circuits]
    left = as_arrays(evaluation.evaluate(model, complements, pairs, ["nll"], batch_tokens))["nll"]
    clean, corrupted = (resamples.means(whole[run]["nll"]) for run in ("clean", "corrupted"))
    return normalised_interval(resamples.means(left), clean, corrupted, resamples)
