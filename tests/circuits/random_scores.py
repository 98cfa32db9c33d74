"""Random scores and circuits of every level on small graphs, with the numbers that are hard to spell exactly."""

from __future__ import annotations

import torch

from rewire.circuits import selection
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, Scores

GRAPHS = (Graph(2, 2, 3), Graph(2, 3, 4, parallel=True), Graph(1, 1, 1))
# zeros of both signs, the least and the largest float32, whole numbers, many digits
HARD = (0.0, -0.0, 1e-45, -1.1754944e-38, 3.4028235e38, 5.0, -1e10, 16777216.0, 0.1, 1 / 3, 1e-5, 1e16)


def random_scores(graph: Graph, level: str, seed: int = 0) -> Scores:
    generator = torch.Generator().manual_seed(seed)
    shape = {"edge": graph.mask.shape, "node": (graph.n_sources,), "neuron": (graph.n_sources, graph.d_model)}
    values = torch.randn(shape[level], generator=generator)
    hard = torch.tensor(HARD)[torch.randint(len(HARD), values.shape, generator=generator)]
    values = torch.where(torch.rand(values.shape, generator=generator) < 0.5, hard, values)
    if level == "edge":
        values = values.masked_fill(~graph.mask, 0)
    return Scores(values, graph, "EAP", "nll", 0.25, level=level)


def random_circuit(scores: Scores) -> Circuit:
    """Half of the edges, nodes or neurons, pruned."""
    return selection.top_n(scores, len(selection.units(scores)) // 2)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal float32, zeros of either sign told apart."""
    return a.dtype == b.dtype == torch.float32 and torch.equal(a.view(torch.int32), b.view(torch.int32))


def equal_circuits(a: Circuit, b: Circuit) -> bool:
    """Equal but for how many edges, nodes or neurons were asked for."""
    if (a.graph, a.level) != (b.graph, b.level) or not torch.equal(a.mask, b.mask):
        return False
    if a.neurons is None or b.neurons is None:
        return a.neurons is b.neurons
    return torch.equal(a.neurons, b.neurons)
