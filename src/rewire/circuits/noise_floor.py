"""What a change between two circuits is set beside: other examples, two samples of one model, random circuits.

All circuits have the same number of edges. Definitions: docs/definitions.md, "Evolution".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rewire import statistics
from rewire.circuits.comparison import Measure, changes, joined, set_changes
from rewire.circuits.controls import random_like
from rewire.circuits.ensembles import BLOCK, ensemble, packed, unpacked
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit
from rewire.statistics import Array

TAILS = (0.025, 0.975)


def other_examples(
    before: Tensor,
    after: Tensor,
    graph: Graph,
    size: int,
    resamples: int,
    seed: int,
    measure: Measure = changes,
) -> dict[str, Array]:
    """Change between two models (scores [N, edges] on the same examples) for bootstrap samples of the examples.

    [resamples] each measure; both circuits are of the same sample.
    """
    names = "before", "after"
    scores = dict(zip(names, (before, after), strict=True))
    return resampled_together(
        scores, [names], graph, size, resamples, seed, floors=False, measure=measure
    ).changes[names]


def centred(value: float, drawn: Array) -> Array:
    """The bootstrap values ``drawn`` [R], moved from their mean to ``value``.

    A resampled circuit differs from its own original too, so that the mean of the bootstrap lies off the value.
    """
    return value + drawn - drawn.mean()


def interval(measure: str, around: Array) -> dict[str, float]:
    """95 % interval: the middle of the centred bootstrap values ``around`` [R], within the measure's range."""
    low, high = np.quantile(around, TAILS)
    ceiling = math.inf if measure.endswith("turnover") else 1.0
    return {
        "low": float(max(low, -1.0 if measure == "spearman" else 0.0)),
        "high": float(min(high, ceiling)),
    }


def same_model(
    examples: Tensor, graph: Graph, size: int, resamples: int, seed: int, measure: Measure = changes
) -> dict[str, Array]:
    """The noise floor: change between two circuits of one model, each of a bootstrap sample of its own.

    Given the examples the two samples are independent, and their means differ with variance 2 s^2 / N, as those of two
    data sets of N examples do: what they share cancels. Two models measured on the same examples differ by less than
    this if they are alike, so to exceed this floor is more than to differ at all.
    """
    found = resampled_together({"model": examples}, [], graph, size, resamples, seed, measure=measure)
    return found.floors["model"]


class Resampled(NamedTuple):
    """``other_examples`` of pairs of models and ``same_model`` of each model; empty where examples are too few."""

    changes: dict[tuple[str, str], dict[str, Array]]
    floors: dict[str, dict[str, Array]]


def resampled_together(
    scores: Mapping[str, Tensor],
    pairs: Sequence[tuple[str, str]],
    graph: Graph,
    size: int,
    resamples: int,
    seed: int,
    floors: bool = True,
    measure: Measure = changes,
) -> Resampled:
    """``other_examples`` of each of ``pairs`` and, if asked for, ``same_model`` of each model, all of one seed.

    ``scores``: model -> [N, edges]. The first sample of a floor's pair is the one that pairs of models share: each
    model's circuit is found once a sample, whatever it is compared with. Memory does not grow with ``resamples``.
    """
    n = len(next(iter(scores.values())))
    weights = torch.from_numpy(statistics.bootstrap_weights(n, (1 + floors) * resamples, seed)).float()
    rows = max(1, BLOCK // graph.mask.numel() // max(1, len(scores) // 8))
    of_pairs: dict[tuple[str, str], list[dict[str, Tensor]]] = {pair: [] for pair in pairs}
    of_models: dict[str, list[dict[str, Tensor]]] = {name: [] for name in (scores if floors else ())}
    for start in range(0, resamples, rows):
        first, second = (part[start : start + rows] for part in (weights[:resamples], weights[resamples:]))
        own = {name: ensemble(first @ values, graph, size) for name, values in scores.items()}
        for (before, after), parts in of_pairs.items():
            parts.append(measure(own[before], own[after]))
        for name, parts in of_models.items():
            parts.append(measure(own[name], ensemble(second @ scores[name], graph, size)))
    return Resampled(
        {pair: joined(parts) for pair, parts in of_pairs.items()},
        {name: joined(parts) for name, parts in of_models.items()},
    )


def random_circuits(before: Tensor, after: Tensor, graph: Graph, draws: int, seed: int) -> dict[str, Array]:
    """Change between random circuits with the edge counts and layer profiles of ``before`` and ``after``: [draws].

    ``before``, ``after``: bool [edges]. Measures of sets alone: random circuits have no scores.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for edges in (before, after):
        circuit = Circuit(unpacked(edges[None], graph)[0], graph, int(edges.sum()))
        masks = (random_like(circuit, generator).mask for _ in range(draws))
        drawn.append(torch.stack([packed(mask, graph) for mask in masks]))
    return {name: values.numpy() for name, values in set_changes(drawn[0], drawn[1], graph).items()}
