"""Minimality: what each edge of the circuit is good for, the effect of dropping it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    random = list(map(live, trial.random))
    others = [some_edges(circuit, ceil(len(edges) / len(random)), generator) for circuit in random]
    effects, *null = dropping(trial, [(trial.circuit, edges), *zip(random, others, strict=True)])
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
    for draw, (circuit, tried, found) in enumerate(zip(random, others, null, strict=True)):
        for edge, effect in zip(tried.tolist(), found.mean(axis=0), strict=True):
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


def dropping(trial: Trial, tried: Sequence[tuple[Circuit, Tensor]]) -> list[Array]:
    """Circuits and edges of theirs -> [examples, edges] each: the effect of dropping each edge alone, nats a token."""
    effects = criteria.each_minimality(trial.model, tried, trial.judged, batch_tokens=trial.batch_tokens)
    return [effect.T.double().numpy() for effect in effects]


def name(circuit: Circuit, edge: int) -> str:
    return circuit.graph.edge_name(*divmod(edge, circuit.graph.n_destinations))
