"""Circuits changed on purpose: whole heads replaced by others of their layer, or edges exchanged between kept nodes.

Both give orders of the packed edges: ``scores[..., order]`` gives edge i what edge order[i] had.
Definitions: docs/definitions.md, "Evolution".
"""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.circuits.ensembles import nodes_of, packed, unpacked
from rewire.circuits.graph import LETTERS, Graph
from rewire.circuits.selection import induced


def replaced_nodes(graph: Graph, draws: int, generator: torch.Generator) -> Tensor:
    """int64 [draws, edges]: the heads of every layer trade places at random, with all of their edges.

    A circuit keeps its number of edges, of nodes, and its layer profile: it is as if other heads had taken over.
    """
    order = torch.rand(draws, graph.n_layers, graph.n_heads, generator=generator).argsort(dim=2)
    source = torch.arange(graph.n_sources).repeat(draws, 1)
    destination = torch.arange(graph.n_destinations).repeat(draws, 1)
    for layer in range(graph.n_layers):
        first = graph.first_source(layer)
        source[:, first : first + graph.n_heads] = first + order[:, layer]
        for letter in range(len(LETTERS)):
            first = graph.first_destination(layer) + letter * graph.n_heads
            destination[:, first : first + graph.n_heads] = first + order[:, layer]
    number = unpacked(torch.arange(graph.n_edges)[None], graph, -1)[0]
    u, v = graph.mask.nonzero().T
    return number[source[:, u], destination[:, v]]


def rewired_edges(circuit: Tensor, graph: Graph, generator: torch.Generator) -> Tensor:
    """int64 [edges]: the edges between the nodes of ``circuit`` (bool [edges]) trade places at random, layer by layer.

    Every edge stays between the layers it was between, and every other edge where it was: nodes are kept, wires are not.
    """
    nodes = nodes_of(circuit[None], graph)[0]
    layers = graph.n_layers + 2
    pair = (graph.source_layer[:, None] + 1) * layers + graph.destination_layer[None, :]
    group, within = packed(pair, graph), packed(induced(nodes, graph), graph)
    order = torch.arange(graph.n_edges)
    for one in group[within].unique():
        members = (within & (group == one)).nonzero().squeeze(1)
        order[members] = members[torch.randperm(len(members), generator=generator)]
    return order
