"""The circuits that a faithfulness curve is made of: each kind at every fraction of edges, run all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rewire.circuits import controls, evaluation, selection
from rewire.circuits.selection import Circuit, Scores
from rewire.faithfulness.measures import METRICS, as_arrays
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.statistics import Array

RANKINGS = ("absolute", "signed")


@dataclass(frozen=True)
class Point:
    """One circuit of a curve. ``kind``: ``circuit``, ``held-out``, ``other-task`` or ``random`` (``draw`` 0, 1, ...).

    ``ranking``: one of RANKINGS; ``fraction``: of all edges, before pruning; ``edges``: how many it has, of which
    ``circuit`` keeps the live ones.
    """

    kind: str
    ranking: str
    fraction: float
    edges: int
    circuit: Circuit
    draw: int = 0


def curve(kind: str, scores: Scores, fractions: Sequence[float]) -> list[Point]:
    """The circuits by |score| and by signed score, at every fraction of edges."""
    points = []
    for ranking in RANKINGS:
        for fraction in fractions:
            size = round(fraction * scores.graph.n_edges)
            circuit = selection.top_n(scores, size, absolute=ranking == "absolute")
            points.append(Point(kind, ranking, fraction, circuit.n_edges, circuit))
    return points


def random_counterparts(points: Sequence[Point], draws: int, seed: int) -> list[Point]:
    """``draws`` random circuits for each circuit, matched in edge count and layer profile.

    A draw is one random order of the edges, from which every circuit's counterpart takes the first that it needs: the
    counterparts of growing circuits grow too.
    """
    seeds = [int(np.random.SeedSequence([seed, draw]).generate_state(1)[0]) for draw in range(draws)]
    return [
        replace(point, kind="random", draw=draw, circuit=live(random_like(point.circuit, own)))
        for draw, own in enumerate(seeds)
        for point in points
    ]


def random_like(circuit: Circuit, seed: int) -> Circuit:
    """A random circuit matched to ``circuit``, the same for the same ``seed``."""
    return controls.random_like(circuit, torch.Generator().manual_seed(seed))


def live(circuit: Circuit) -> Circuit:
    """``circuit`` without the edges that lie on no path from the input to the logits; it computes the same."""
    return replace(circuit, mask=selection.prune(circuit.mask, circuit.graph))


def evaluate(model: Model, points: Sequence[Point], pairs: TokenPairs, batch_tokens: int) -> dict[str, Array]:
    """METRICS of each circuit on each example: [points, examples]."""
    circuits = [point.circuit for point in points]
    return as_arrays(evaluation.evaluate(model, circuits, pairs, METRICS, batch_tokens))


def described(points: Sequence[Point]) -> dict[str, Any]:
    """One point's columns; of the same point in several folds, sizes are means over the folds' circuits."""
    first = points[0]
    return {
        "circuit": first.kind,
        "ranking": first.ranking,
        "draw": first.draw,
        "fraction": first.fraction,
        "requested_edges": first.circuit.requested,
        "edges": float(np.mean([point.edges for point in points])),
        "nodes": float(np.mean([int(point.circuit.nodes.sum()) for point in points])),
        "live_edges": float(np.mean([point.circuit.n_edges for point in points])),
    }
