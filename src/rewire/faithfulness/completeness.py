"""Completeness: whether the circuit without some of its nodes behaves as the model without the same nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rewire.circuits import criteria
from rewire.circuits.selection import Circuit
from rewire.faithfulness.sweep import live
from rewire.faithfulness.trial import Trial, as_low
from rewire.statistics import Array


def rows(trial: Trial, sets: int, size: int) -> Iterator[dict[str, Any]]:
    """The gap between model and circuit, over ``sets`` random sets of nodes and for the greedy one of up to ``size``.

    The greedy set is sought on the pairs that scored the circuit; every gap is measured on the others. Its null is one
    random circuit's own greedy set: the search runs each circuit once a node.
    """
    generator = torch.Generator().manual_seed(trial.seed)
    random = [live(circuit) for circuit in trial.random]
    found = mean_gaps(
        trial, [(c, criteria.random_knockouts(c, sets, generator)) for c in (trial.circuit, *random)]
    )
    null = [gap[0] for gap in found[1:]]
    for draw, gap in enumerate(found):
        row = labelled("completeness, random", draw, gap)
        yield row if draw else row | {"p": as_low(gap[0], null)}
    pair = (trial.circuit, random[0])
    sought = [
        criteria.greedy_knockout(trial.model, c, trial.scored, size, batch_tokens=trial.batch_tokens)
        for c in pair
    ]
    gaps = mean_gaps(trial, [(c, nodes[None]) for c, nodes in zip(pair, sought, strict=True)])
    for draw, (nodes, gap) in enumerate(zip(sought, gaps, strict=True)):
        removed = " ".join(trial.circuit.graph.sources[node] for node in nodes.nonzero().flatten())
        yield labelled("completeness, greedy", draw, gap) | {"removed": removed}


def mean_gaps(trial: Trial, tried: Sequence[tuple[Circuit, Tensor]]) -> list[Array]:
    """Circuits and sets of nodes bool [K, sources] -> [3] each: value, low and high of the gap, the mean over the sets.

    Nats a token.
    """
    resamples = trial.resamples
    both = criteria.each_completeness(trial.model, tried, trial.judged, batch_tokens=trial.batch_tokens)
    gaps = [np.abs(resamples.means((of.model - of.circuit).double().numpy())) for of in both]
    return [resamples.interval(gap.mean(axis=0)) for gap in gaps]  # gap: [K, 1 + resamples]


def labelled(criterion: str, number: int, gap: Array) -> dict[str, Any]:
    """The row of the circuit (``number`` 0) or of a random one (from 1)."""
    value, low, high = gap.tolist()
    circuit = {"circuit": "random", "draw": number - 1} if number else {"circuit": "circuit", "draw": 0}
    return {"criterion": criterion, **circuit, "value": value, "low": low, "high": high}
