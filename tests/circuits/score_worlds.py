"""Made-up per-example scores of models whose nodes matter more or less, and what training could do to them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rewire.circuits.ensembles import ensemble, packed
from rewire.circuits.graph import Graph
from rewire.circuits.rewiring import replaced_nodes, rewired_edges

GRAPH = Graph(3, 8, 8)
SIZE = round(0.1 * GRAPH.n_edges)


def effects(seed: int, graph: Graph = GRAPH) -> Tensor:
    """float32 [edges]: true scores; an edge is strong if both of its nodes are, and by its own luck; half of the heads are weak."""
    rng = np.random.default_rng(seed)
    writes = np.exp(rng.normal(0, 0.5, graph.n_sources))
    for layer in range(graph.n_layers):
        weak = rng.permutation(graph.n_heads)[: graph.n_heads // 2]
        writes[graph.first_source(layer) + weak] *= 0.05
    reads = np.append(writes**0.7 * np.exp(rng.normal(0, 0.4, graph.n_sources)), 3.0)  # the last: logits
    own = np.exp(rng.normal(0, 0.7, graph.mask.shape)) * rng.choice([-1, 1], graph.mask.shape)
    dense = torch.from_numpy(writes[:, None] * reads[graph.destination_node.numpy()] * own)
    return packed(dense, graph).float()


def examples(true: Tensor, n: int, seed: int) -> Tensor:
    """float32 [n, edges]: what ``n`` examples measure of ``true`` scores [edges]; strong edges are noisier."""
    noise = torch.randn(n, len(true), generator=torch.Generator().manual_seed(seed))
    return true + true.abs() * noise


def rewired(true: Tensor, seed: int, graph: Graph = GRAPH, size: int = SIZE) -> Tensor:
    """The edges between the circuit's nodes trade places: nodes are kept."""
    circuit = ensemble(true[None], graph, size).edges[0]
    return true[rewired_edges(circuit, graph, torch.Generator().manual_seed(seed))]


def replaced(true: Tensor, seed: int, graph: Graph = GRAPH) -> Tensor:
    """The heads of each layer trade places, with all of their edges."""
    return true[replaced_nodes(graph, 1, torch.Generator().manual_seed(seed))[0]]
