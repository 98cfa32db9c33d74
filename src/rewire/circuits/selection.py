"""From scores to a circuit: choose edges, nodes or neurons, then prune to the fixed point.

Definitions: docs/definitions.md, "Selection".
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.errors import InputError

LEVELS = ("edge", "node", "neuron")


@dataclass(frozen=True)
class Scores:
    """Attribution scores of every edge, node or neuron (``level``), in the metric's unit.

    ``values``: float32 [sources, destinations] (0 where there is no edge), [sources], or [sources, D]: a neuron is a
    coordinate of what a source writes; ``completeness_gap``: share of the metric's total change that the integral
    misses (None: not integrated); ``examples``: each example's scores or None, float32 [N, edges] (the order of
    ``ranking``'s indices sorted, that of ``graph.mask.nonzero()``), [N, sources] or [N, sources, D].
    """

    values: Tensor
    graph: Graph
    method: str
    metric: str
    completeness_gap: float | None = None
    examples: Tensor | None = None
    level: str = "edge"

    def leading(self, n: int, absolute: bool = True) -> tuple[Tensor, Tensor]:
        """The ``n`` best edges, nodes or neurons and each example's scores of them.

        Returns int64 [n] flat indices into ``values``, best first, and float32 [N, n]. Errors: InputError without
        ``examples``.
        """
        if self.examples is None:
            raise InputError("these scores have no examples: attribute with examples=True")
        best = ranking(self, absolute)[:n]
        packed = self.examples.flatten(1)
        if self.level == "edge":
            return best, packed[:, torch.searchsorted(units(self), best)]
        return best, packed[:, best]


@dataclass(frozen=True)
class Circuit:
    """A part of the graph. ``mask``: bool [sources, destinations], its edges; ``requested``: how many edges, nodes or
    neurons (``level``) were asked for before pruning; ``neurons``: bool [sources, D] at level neuron, else None.
    """

    mask: Tensor
    graph: Graph
    requested: int
    level: str = "edge"
    neurons: Tensor | None = None

    @property
    def n_edges(self) -> int:
        return int(self.mask.sum())

    @property
    def nodes(self) -> Tensor:
        """bool [sources]: the sources that an edge of the circuit starts from."""
        return self.mask.any(dim=1)

    @property
    def remaining(self) -> int:
        """How many edges, nodes or neurons are left, to set beside ``requested``."""
        kept = {"edge": self.mask, "node": self.nodes}.get(self.level, self.neurons)
        assert kept is not None
        return int(kept.sum())


def whole(graph: Graph) -> Circuit:
    """Every edge."""
    return Circuit(graph.mask, graph, graph.n_edges)


def empty(graph: Graph) -> Circuit:
    """No edge."""
    return Circuit(torch.zeros_like(graph.mask), graph, 0)


def induced(nodes: Tensor, graph: Graph) -> Tensor:
    """bool [sources, destinations]: every edge between ``nodes`` (bool [sources]) and from them to the logits."""
    reader = torch.cat([nodes[graph.destination_node[:-1]], torch.tensor([True])])
    return graph.mask & nodes[:, None] & reader


def prune(mask: Tensor, graph: Graph) -> Tensor:
    """Drop nodes without an incoming or an outgoing edge, and the edges that hang on them, to the fixed point.

    ``input`` needs no incoming edge, ``logits`` no outgoing one. Returns a new bool [sources, destinations].
    """
    mask = mask.clone()
    reader = graph.destination_node
    while True:
        incoming = torch.zeros(graph.n_sources, dtype=torch.bool)
        incoming[reader[:-1][mask.any(dim=0)[:-1]]] = True
        incoming[0] = True
        alive = incoming & mask.any(dim=1)
        reader_alive = torch.cat([alive[reader[:-1]], torch.tensor([True])])
        kept = mask & alive[:, None] & reader_alive[None, :]
        if torch.equal(kept, mask):
            return kept
        mask = kept


def units(scores: Scores) -> Tensor:
    """int64 [n]: flat indices into ``values`` of the edges, nodes or neurons that exist, in graph order."""
    if scores.level == "edge":
        return scores.graph.mask.flatten().nonzero().squeeze(1)
    return torch.arange(scores.values.numel())


def ranking(scores: Scores, absolute: bool = True) -> Tensor:
    """int64 [n]: flat indices of the edges, nodes or neurons, best score first; equal scores keep graph order."""
    existing = units(scores)
    values = strengths(scores, absolute).flatten()[existing]
    return existing[torch.sort(values, descending=True, stable=True).indices]


def strengths(scores: Scores, absolute: bool) -> Tensor:
    """What edges, nodes or neurons are chosen by: |score|, or the score. Errors: InputError for one that is not finite."""
    bad = (~torch.isfinite(scores.values)).nonzero().tolist()
    if bad:
        raise InputError(f"the score of {scores.level} {bad[0]} is {float(scores.values[tuple(bad[0])])}")
    return scores.values.abs() if absolute else scores.values


def top_n(scores: Scores, n: int, absolute: bool = True) -> Circuit:
    """The ``n`` edges, nodes or neurons with the largest |score| (or the largest score), pruned."""
    check_size(n, scores)
    existing = units(scores)
    strength = strengths(scores, absolute).flatten()[existing]
    if n == 0:
        return built(scores, existing[:0])
    least = nth_largest(strength, n)
    better, equal = existing[strength > least], existing[strength == least]
    return built(scores, torch.cat([better, equal[: n - len(better)]]))


def nth_largest(values: Tensor, n: int) -> float:
    """The ``n``-th largest of ``values`` [m], 1 <= n <= m."""
    # np.partition and torch.kthvalue are quadratic in equal values
    return float(np.sort(values.numpy())[len(values) - n])


def threshold(scores: Scores, least: float, absolute: bool = True) -> Circuit:
    """The edges, nodes or neurons whose |score| (or score) is at least ``least``, pruned."""
    existing = units(scores)
    return built(scores, existing[strengths(scores, absolute).flatten()[existing] >= least])


def built(scores: Scores, chosen: Tensor) -> Circuit:
    """The circuit of the ``chosen`` flat indices, pruned: with nodes, all edges between them."""
    graph, n = scores.graph, len(chosen)
    picked = torch.zeros(scores.values.shape, dtype=torch.bool)
    picked.view(-1)[chosen] = True
    if scores.level == "edge":
        return Circuit(prune(picked, graph), graph, n)
    nodes = picked if scores.level == "node" else picked.any(dim=1)
    mask = prune(induced(nodes, graph), graph)
    neurons = None if scores.level == "node" else picked & mask.any(dim=1)[:, None]
    return Circuit(mask, graph, n, scores.level, neurons)


def greedy(scores: Scores, n: int, absolute: bool = True) -> Circuit:
    """Take ``n`` edges one by one, best first, among those that lead to a node already reached from the logits.

    Equal scores go in graph order. Errors: InputError for scores of nodes or neurons.
    """
    if scores.level != "edge":
        raise InputError(f"greedy selection takes edges, not scores of level {scores.level!r}")
    check_size(n, scores)
    graph = scores.graph
    strength = strengths(scores, absolute).double().masked_fill(~graph.mask, -torch.inf)
    bottleneck = bottlenecks(strength, graph)
    if n == 0:
        return Circuit(torch.zeros_like(graph.mask), graph, 0)
    least = nth_largest(bottleneck[graph.mask], n)
    mask = bottleneck > least  # these are taken before any other
    take_best_first(mask, bottleneck == least, strength, graph, n - int(mask.sum()))
    return Circuit(prune(mask, graph), graph, n)


def bottlenecks(strength: Tensor, graph: Graph) -> Tensor:
    """The weakest edge on the strongest way from the logits through each edge, itself included: like ``strength``.

    Greedy selection takes edges in this order: nothing weaker is taken while a way over stronger edges is open.
    """
    reader = graph.destination_node
    reached = torch.full((graph.n_sources,), -torch.inf, dtype=strength.dtype)
    out = torch.empty_like(strength)
    for source in range(graph.n_sources - 1, -1, -1):  # whoever reads a source comes after it
        at_destination = torch.cat([reached[reader[:-1]], reached.new_tensor([torch.inf])])
        out[source] = torch.minimum(strength[source], at_destination)
        reached[source] = out[source].max()
    return out


def take_best_first(mask: Tensor, candidates: Tensor, strength: Tensor, graph: Graph, n: int) -> None:
    """Add ``n`` of ``candidates`` to ``mask`` (both bool [sources, destinations]), in greedy order."""
    columns: list[list[int]] = [[] for _ in range(graph.n_sources)]
    for destination, node in enumerate(graph.destination_node[:-1].tolist()):
        columns[node].append(destination)
    reached = {
        graph.n_sources,
        *mask.any(dim=1).nonzero().flatten().tolist(),
    }  # the logits, then who feeds them
    frontier: list[tuple[float, int, int]] = []

    def offer(destinations: list[int]) -> None:
        for destination in destinations:
            sources = candidates[:, destination].nonzero().flatten()
            values = (-strength[sources, destination]).tolist()
            for entry in zip(values, sources.tolist(), [destination] * len(values), strict=True):
                heapq.heappush(frontier, entry)

    offer([graph.n_destinations - 1])
    for node in reached:
        offer(columns[node] if node < graph.n_sources else [])
    for _ in range(n):
        _, source, destination = heapq.heappop(frontier)
        mask[source, destination] = True
        if source not in reached:
            reached.add(source)
            offer(columns[source])


def check_size(n: int, scores: Scores) -> None:
    """InputError unless 0 <= n <= number of edges, nodes or neurons."""
    most = len(units(scores))
    if not 0 <= n <= most:
        raise InputError(f"a circuit of {n} {scores.level}s: the graph has {most}")
