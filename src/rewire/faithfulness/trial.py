"""A circuit of one size and its random counterparts, judged on other pairs than those that scored it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rewire.circuits.selection import Circuit, top_n
from rewire.faithfulness.cross_fitting import cross_fits, scores_with_examples
from rewire.faithfulness.resamples import Resamples
from rewire.faithfulness.sweep import random_like
from rewire.models import Model
from rewire.pairs import TokenPairs


@dataclass(frozen=True)
class Trial:
    """``circuit`` was scored on the pairs ``scored`` and is judged on ``judged``; ``random``: matched to it, not pruned."""

    model: Model
    scored: TokenPairs
    judged: TokenPairs
    circuit: Circuit
    random: list[Circuit]
    seed: int
    batch_tokens: int

    @cached_property
    def resamples(self) -> Resamples:
        return Resamples(len(self.judged), seed=self.seed)


def prepare(
    model: Model,
    pairs: TokenPairs,
    scores_path: str | Path,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Trial:
    """A circuit that one random half of ``pairs`` scored, to be judged on the other.

    ``scores_path``: edge scores on ``pairs``, made with the settings ``circuits``, of which ``fraction`` is its size;
    ``settings``: random (draws), seed, batch_tokens. Errors: InputError for fewer than 2 pairs.
    """
    seed = settings["seed"]
    (judged, fitted), (scored, _) = cross_fits(
        scores_with_examples(scores_path, model, pairs, circuits), 2, seed
    )
    circuit = top_n(fitted, round(circuits["fraction"] * model.graph.n_edges))
    draws = np.random.SeedSequence(seed).generate_state(settings["random"]).tolist()
    random = [random_like(circuit, draw) for draw in draws]
    return Trial(
        model, pairs.subset(scored), pairs.subset(judged), circuit, random, seed, settings["batch_tokens"]
    )


def as_low(value: float, null: Any) -> float:
    """Of a value and those of the null, the share that is at most as large: a one-sided p-value."""
    return float((1 + (np.asarray(null) <= value).sum()) / (1 + len(null)))
