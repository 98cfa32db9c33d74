"""Two circuits side by side. Definitions: docs/definitions.md, "Evolution"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.circuits.selection import Circuit


def jaccard(a: Tensor, b: Tensor) -> float:
    """|A and B| / |A or B| of two bool tensors of one shape; 1 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


@dataclass(frozen=True)
class Change:
    """What became of circuit ``before`` in circuit ``after``: counts and shares, 0..1."""

    edge_jaccard: float
    node_jaccard: float
    edges_born: int
    edges_lost: int
    nodes_born: int
    nodes_lost: int


def change(before: Circuit, after: Circuit) -> Change:
    """Edge and node change between two circuits of one graph; nodes are the sources with an edge in the circuit."""
    return Change(
        edge_jaccard=jaccard(before.mask, after.mask),
        node_jaccard=jaccard(before.nodes, after.nodes),
        edges_born=int((after.mask & ~before.mask).sum()),
        edges_lost=int((before.mask & ~after.mask).sum()),
        nodes_born=int((after.nodes & ~before.nodes).sum()),
        nodes_lost=int((before.nodes & ~after.nodes).sum()),
    )


def layer_change(before: Tensor, after: Tensor, circuit: Circuit) -> tuple[Tensor, Tensor]:
    """Sum over the edges whose source is in layer l of |s_after - s_before|, and the same over the edge count.

    ``before``, ``after``: scores [sources, destinations]. Returns two float64 [L]: raw and normalised.
    """
    graph = circuit.graph
    moved = ((after - before).abs() * graph.mask).double().sum(dim=1)
    edges = graph.mask.double().sum(dim=1)
    raw = torch.zeros(graph.n_layers, dtype=torch.float64)
    count = torch.zeros(graph.n_layers, dtype=torch.float64)
    raw.index_add_(0, graph.source_layer[1:], moved[1:])
    count.index_add_(0, graph.source_layer[1:], edges[1:])
    return raw, raw / count
