"""Necessity: what is left of the behaviour when the circuit's edges are taken out of the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rewire.circuits import evaluation
from rewire.circuits.controls import complement
from rewire.faithfulness.measures import as_arrays, normalised_interval
from rewire.faithfulness.trial import Trial, as_low


def rows(trial: Trial) -> Iterator[dict[str, Any]]:
    """f of the circuit's complement, and of the complements of its random counterparts."""
    complements = [complement(circuit) for circuit in (trial.circuit, *trial.random)]
    left = evaluation.evaluate(trial.model, complements, trial.judged, ["nll"], trial.batch_tokens)
    whole = evaluation.evaluate_baselines(trial.model, trial.judged, ["nll"], trial.batch_tokens)
    resamples = trial.resamples
    clean, corrupted = (resamples.means(as_arrays(whole[run])["nll"]) for run in ("clean", "corrupted"))
    found = normalised_interval(resamples.means(as_arrays(left)["nll"]), clean, corrupted, resamples)
    (value, low, high), null = found[0], found[1:, 0]
    own = {"criterion": "necessity", "circuit": "circuit", "draw": 0}
    p = None if np.isnan(low) else as_low(value, null)
    yield own | {"value": value, "low": low, "high": high, "p": p}
    for draw, value in enumerate(null):
        yield {"criterion": "necessity", "circuit": "random", "draw": draw, "value": value}
