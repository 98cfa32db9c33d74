"""From scores to a circuit: choose edges, then prune to the fixed point. Definitions: docs/definitions.md, "Selection"."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.errors import InputError


@dataclass(frozen=True)
class Scores:
    """Attribution scores of every edge.

    ``values``: float32 [sources, destinations], 0 where there is no edge, in the metric's unit;
    ``completeness_gap``: share of the metric's total change that the integral misses (None: not integrated).
    """

    values: Tensor
    graph: Graph
    method: str
    metric: str
    completeness_gap: float | None = None


@dataclass(frozen=True)
class Circuit:
    """A set of edges. ``mask``: bool [sources, destinations]; ``requested``: edges asked for before pruning."""

    mask: Tensor
    graph: Graph
    requested: int

    @property
    def n_edges(self) -> int:
        return int(self.mask.sum())

    @property
    def nodes(self) -> Tensor:
        """bool [sources]: the sources that an edge of the circuit starts from."""
        return self.mask.any(dim=1)


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


def ranking(scores: Scores, absolute: bool = True) -> Tensor:
    """int64 [edges]: flat indices of the existing edges, best score first; equal scores keep graph order."""
    edges = scores.graph.mask.flatten().nonzero().squeeze(1)
    values = scores.values.flatten()[edges]
    return edges[torch.sort(values.abs() if absolute else values, descending=True, stable=True).indices]


def top_n(scores: Scores, n: int, absolute: bool = True) -> Circuit:
    """The ``n`` edges with the largest |score| (or the largest score), pruned."""
    check_size(n, scores.graph)
    mask = torch.zeros_like(scores.graph.mask)
    mask.view(-1)[ranking(scores, absolute)[:n]] = True
    return Circuit(prune(mask, scores.graph), scores.graph, n)


def greedy(scores: Scores, n: int, absolute: bool = True) -> Circuit:
    """Take ``n`` edges one by one, best first, among those that lead to a node already reached from the logits."""
    graph = scores.graph
    check_size(n, graph)
    strength = (scores.values.abs() if absolute else scores.values).double()
    columns: list[list[int]] = [[] for _ in range(graph.n_sources)]
    for destination, node in enumerate(graph.destination_node[:-1].tolist()):
        columns[node].append(destination)
    mask = torch.zeros_like(graph.mask)
    reached: set[int] = {0}
    frontier: list[tuple[float, int, int]] = []

    def open_columns(destinations: list[int]) -> None:
        for destination in destinations:
            for source, value in enumerate(
                strength[: int(graph.readable[destination]), destination].tolist()
            ):
                heapq.heappush(frontier, (-value, source, destination))

    open_columns([graph.n_destinations - 1])
    for _ in range(n):
        if not frontier:
            break
        _, source, destination = heapq.heappop(frontier)
        mask[source, destination] = True
        if source not in reached:
            reached.add(source)
            open_columns(columns[source])
    return Circuit(prune(mask, graph), graph, n)


def check_size(n: int, graph: Graph) -> None:
    """InputError unless 0 <= n <= number of edges."""
    if not 0 <= n <= graph.n_edges:
        raise InputError(f"a circuit of {n} edges: the graph has {graph.n_edges}")


def random_like(circuit: Circuit, generator: torch.Generator) -> Circuit:
    """A random circuit with as many edges between every pair of layers as ``circuit`` has (its layer profile)."""
    graph = circuit.graph
    layers = graph.n_layers + 2  # blocks, the embedding (-1) and the logits (n_layers)
    group = (graph.source_layer[:, None] + 1) * layers + graph.destination_layer[None, :]
    edges = graph.mask.flatten().nonzero().squeeze(1)
    edge_group = group.flatten()[edges]
    wanted = torch.bincount(group[circuit.mask], minlength=layers * layers)
    shuffled = torch.randperm(len(edges), generator=generator)
    # stable sort by group: within each group the edges are now in random order
    order = shuffled[torch.sort(edge_group[shuffled], stable=True).indices]
    grouped = edge_group[order]
    starts = torch.searchsorted(grouped, torch.arange(layers * layers))
    rank = torch.arange(len(edges)) - starts[grouped]
    mask = torch.zeros_like(graph.mask)
    mask.view(-1)[edges[order[rank < wanted[grouped]]]] = True
    return Circuit(mask, graph, circuit.n_edges)
