"""What makes a circuit a good one beyond its faithfulness at one size: CPR, CMD, completeness, minimality.

CPR and CMD as in the Mechanistic Interpretability Benchmark (Mueller et al., 2025), completeness and minimality after
Wang et al., *Interpretability in the Wild* (2022). Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rewire.circuits.controls import without_edges, without_nodes
from rewire.circuits.evaluation import evaluate
from rewire.circuits.selection import Circuit, whole
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs


def cpr(fractions: Sequence[float], faithfulness: Any) -> Any:
    """Area under f over the fractions of edges (trapezoids, linear in the fraction); [..., fractions] -> [...].

    Its circuits take edges by signed score. Not bounded by 1: a circuit may do better than the model.
    """
    return area(fractions, np.asarray(faithfulness, dtype=float))


def cmd(fractions: Sequence[float], faithfulness: Any) -> Any:
    """Area between f and 1, |1 - f|; 0 is best. Its circuits take edges by |score|. [..., fractions] -> [...]."""
    return area(fractions, np.abs(1 - np.asarray(faithfulness, dtype=float)))


def area(fractions: Sequence[float], values: np.ndarray) -> Any:
    """Trapezoids. Errors: InputError unless the fractions rise and there are two at least, one for each value."""
    x = np.asarray(fractions, dtype=float)
    if len(x) < 2 or values.shape[-1] != len(x) or (np.diff(x) <= 0).any():
        raise InputError(
            f"an area needs rising fractions, a value each: {list(fractions)}, {values.shape[-1]} values"
        )
    return np.trapezoid(values, x, axis=-1)


@dataclass(frozen=True)
class Completeness:
    """The model and the circuit without the same nodes. ``knocked_out``: bool [K, sources]; ``model``, ``circuit``:
    the metric [K, N] of each example.
    """

    knocked_out: Tensor
    model: Tensor
    circuit: Tensor

    @property
    def gaps(self) -> Tensor:
        """[K]: |mean F(M without K) - mean F(C without K)|, in the metric's unit; 0 is complete."""
        return (self.model - self.circuit).mean(dim=1).abs()


def completeness(
    model: Model,
    circuit: Circuit,
    pairs: TokenPairs,
    knocked_out: Tensor,
    metric: str = "nll",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> Completeness:
    """Whether the model without a set of the circuit's nodes behaves as the circuit without them, for each set.

    ``knocked_out``: bool [K, sources], from ``random_knockouts`` or ``greedy_knockout``.
    """
    return each_completeness(model, [(circuit, knocked_out)], pairs, metric, batch_tokens, intervention)[0]


def each_completeness(
    model: Model,
    tried: Sequence[tuple[Circuit, Tensor]],
    pairs: TokenPairs,
    metric: str = "nll",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> list[Completeness]:
    """``completeness`` of several circuits, each with its own sets of nodes; the model's own runs are made once for all."""
    circuits = [
        without_nodes(c, nodes)
        for circuit, knocked_out in tried
        for c in (whole(circuit.graph), circuit)
        for nodes in knocked_out
    ]
    values = evaluate(model, circuits, pairs, [metric], batch_tokens, intervention)[metric]
    parts = values.split([2 * len(knocked_out) for _, knocked_out in tried])
    return [
        Completeness(knocked_out, *part.view(2, len(knocked_out), -1))
        for (_, knocked_out), part in zip(tried, parts, strict=True)
    ]


def random_knockouts(circuit: Circuit, draws: int, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """bool [draws, sources]: each head and MLP of the circuit with probability ``share``."""
    drawn = torch.rand(draws, circuit.graph.n_sources, generator=generator) < share
    return drawn & removable(circuit)


def removable(circuit: Circuit) -> Tensor:
    """bool [sources]: the circuit's heads and MLPs. Without ``input`` model and circuit are both the corrupted run."""
    nodes = circuit.nodes.clone()
    nodes[0] = False
    return nodes


def greedy_knockout(
    model: Model,
    circuit: Circuit,
    pairs: TokenPairs,
    size: int,
    metric: str = "nll",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> Tensor:
    """bool [sources]: the set of up to ``size`` nodes whose knock-out separates model and circuit most.

    Node by node, the one that widens the gap most; of the sets met on the way the one with the widest gap.
    """
    nodes = torch.zeros(circuit.graph.n_sources, dtype=torch.bool)
    best, widest = nodes, -1.0
    for _ in range(size):
        candidates = (removable(circuit) & ~nodes).nonzero().flatten()
        if not len(candidates):
            break
        tried = nodes.repeat(len(candidates), 1)
        tried[torch.arange(len(candidates)), candidates] = True
        gaps = completeness(model, circuit, pairs, tried, metric, batch_tokens, intervention).gaps
        nodes = tried[int(gaps.argmax())]
        if float(gaps.max()) > widest:
            best, widest = nodes, float(gaps.max())
    return best


def minimality(
    model: Model,
    circuit: Circuit,
    pairs: TokenPairs,
    edges: Tensor | None = None,
    metric: str = "nll",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> Tensor:
    """[E, N]: M(C without the edge) - M(C) of each example, for each of ``edges``.

    ``edges``: int64 [E] flat indices of the mask (None: every edge of the circuit, in graph order). Errors: InputError
    for an edge outside the circuit.
    """
    if edges is None:
        edges = circuit.mask.flatten().nonzero().flatten()
    return each_minimality(model, [(circuit, edges)], pairs, metric, batch_tokens, intervention)[0]


def each_minimality(
    model: Model,
    tried: Sequence[tuple[Circuit, Tensor]],
    pairs: TokenPairs,
    metric: str = "nll",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> list[Tensor]:
    """``minimality`` of several circuits, each for its own edges; the model's own runs are made once for all."""
    circuits = []
    for circuit, edges in tried:
        circuits.append(circuit)
        circuits += [without_edges(circuit, edge_mask(circuit, edge)) for edge in edges.tolist()]
    values = evaluate(model, circuits, pairs, [metric], batch_tokens, intervention)[metric]
    return [part[1:] - part[0] for part in values.split([1 + len(edges) for _, edges in tried])]


def edge_mask(circuit: Circuit, edge: int) -> Tensor:
    """bool [sources, destinations]: one edge. Errors: InputError if the circuit does not have it."""
    one = torch.zeros_like(circuit.mask)
    one.view(-1)[edge] = True
    if not (circuit.mask & one).any():
        name = circuit.graph.edge_name(*divmod(edge, circuit.graph.n_destinations))
        raise InputError(f"edge {name!r} is not in the circuit")
    return one
