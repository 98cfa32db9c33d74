"""Minimality: what each edge of the circuit is good for, the effect of dropping it alone."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import torch
from torch import Tensor

from rewire import statistics
from rewire.circuits import criteria
from rewire.circuits.selection import Circuit
from rewire.faithfulness.sweep import live
from rewire.faithfulness.trial import Trial
from rewire.statistics import Array


def rows(trial: Trial, most: int) -> Iterator[dict[str, Any]]:
    """NLL without an edge minus NLL of the circuit: of ``most`` of its edges, and of as many edges of random circuits.

    p: two-sided paired permutation over examples; q: Benjamini-Hochberg over the edges.
    """
    generator = torch.Generator().manual_seed(trial.seed)
    edges = some_edges(trial.circuit, most, generator)
    effects = dropping(trial, trial.circuit, edges)
    values, lows, highs = statistics.column_means(effects, seed=trial.seed)
    p = statistics.paired_permutation(effects, seed=trial.seed)
    q = statistics.benjamini_hochberg(p)
    for number, edge in enumerate(edges.tolist()):
        yield {
            "criterion": "minimality",
            "circuit": "circuit",
            "draw": 0,
            "removed": name(trial.circuit, edge),
            "value": values[number],
            "low": lows[number],
            "high": highs[number],
            "p": p[number],
            "q": q[number],
        }
    for draw, circuit in enumerate(map(live, trial.random)):
        others = some_edges(circuit, ceil(len(edges) / len(trial.random)), generator)
        for edge, effect in zip(others.tolist(), dropping(trial, circuit, others).mean(axis=0), strict=True):
            yield {
                "criterion": "minimality",
                "circuit": "random",
                "draw": draw,
                "removed": name(circuit, edge),
                "value": effect,
            }


def some_edges(circuit: Circuit, most: int, generator: torch.Generator) -> Tensor:
    """int64: flat indices of the circuit's edges in graph order, at random ``most`` of them where it has more."""
    edges = circuit.mask.flatten().nonzero().flatten()
    return edges[torch.randperm(len(edges), generator=generator)[:most].sort().values]


def dropping(trial: Trial, circuit: Circuit, edges: Tensor) -> Array:
    """[examples, edges]: the effect of dropping each edge alone, nats a token."""
    effects = criteria.minimality(trial.model, circuit, trial.judged, edges, batch_tokens=trial.batch_tokens)
    return effects.T.double().numpy()


def name(circuit: Circuit, edge: int) -> str:
    return circuit.graph.edge_name(*divmod(edge, circuit.graph.n_destinations))
