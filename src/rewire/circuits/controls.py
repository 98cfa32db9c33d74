"""Circuits to set beside a circuit: its complement, itself without a part, random ones of its size and layer profile.

Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, induced


def complement(circuit: Circuit) -> Circuit:
    """The whole model without the circuit: the edges (nodes, neurons) that it leaves out, not pruned."""
    graph = circuit.graph
    if circuit.level == "edge":
        mask = graph.mask & ~circuit.mask
        return Circuit(mask, graph, int(mask.sum()))
    if circuit.level == "node":
        nodes = ~circuit.nodes
        return Circuit(induced(nodes, graph), graph, int(nodes.sum()), "node")
    assert circuit.neurons is not None
    neurons = ~circuit.neurons
    return Circuit(induced(neurons.any(dim=1), graph), graph, int(neurons.sum()), "neuron", neurons)


def without_edges(circuit: Circuit, removed: Tensor) -> Circuit:
    """``circuit`` with the edges ``removed`` (bool [sources, destinations]) knocked out, not pruned."""
    mask = circuit.mask & ~removed
    return Circuit(mask, circuit.graph, int(mask.sum()), circuit.level, circuit.neurons)


def without_nodes(circuit: Circuit, removed: Tensor) -> Circuit:
    """``circuit`` with the nodes ``removed`` (bool [sources]) knocked out: none of their edges is left; not pruned."""
    kept = induced(~removed, circuit.graph)
    return without_edges(circuit, ~kept)


def random_like(circuit: Circuit, generator: torch.Generator) -> Circuit:
    """A random circuit of the same size and layer profile, not pruned.

    As many edges between every pair of layers as ``circuit`` has; of a circuit of nodes or neurons, as many of them in
    every layer, heads and MLPs apart.
    """
    graph = circuit.graph
    if circuit.level == "edge":
        layers = graph.n_layers + 2  # blocks, the embedding (-1) and the logits (n_layers)
        group = (graph.source_layer[:, None] + 1) * layers + graph.destination_layer[None, :]
        mask = shuffled(circuit.mask, group, graph.mask, generator)
        return Circuit(mask, graph, circuit.n_edges)
    group = node_group(graph)
    if circuit.level == "node":
        nodes = shuffled(circuit.nodes, group, torch.ones_like(circuit.nodes), generator)
        return Circuit(induced(nodes, graph), graph, circuit.remaining, "node")
    assert circuit.neurons is not None
    spread = group[:, None].expand(circuit.neurons.shape)
    neurons = shuffled(circuit.neurons, spread, torch.ones_like(circuit.neurons), generator)
    return Circuit(induced(neurons.any(dim=1), graph), graph, circuit.remaining, "neuron", neurons)


def node_group(graph: Graph) -> Tensor:
    """int64 [sources]: the same number for the heads of a layer; one of its own for each MLP and for ``input``."""
    is_mlp = torch.zeros(graph.n_sources, dtype=torch.long)
    is_mlp[[graph.first_source(layer) + graph.n_heads for layer in range(graph.n_layers)]] = 1
    return 2 * (graph.source_layer + 1) + is_mlp


def shuffled(chosen: Tensor, group: Tensor, existing: Tensor, generator: torch.Generator) -> Tensor:
    """Bool like ``chosen``: as many of each ``group`` as chosen, drawn at random from those that exist."""
    places = existing.flatten().nonzero().squeeze(1)
    place_group = group.flatten()[places]
    wanted = torch.bincount(group[chosen], minlength=int(group.max()) + 1)
    order = torch.randperm(len(places), generator=generator)
    # stable sort by group: within each group the places are now in random order
    order = order[torch.sort(place_group[order], stable=True).indices]
    grouped = place_group[order]
    starts = torch.searchsorted(grouped, torch.arange(len(wanted)))
    rank = torch.arange(len(places)) - starts[grouped]
    drawn = torch.zeros_like(chosen)
    drawn.view(-1)[places[order[rank < wanted[grouped]]]] = True
    return drawn
