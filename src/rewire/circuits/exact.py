"""Ground truth for small models: the model run once for every edge, node or neuron, without it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rewire.circuits.evaluation import evaluate
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, Scores, induced, whole
from rewire.models import Model
from rewire.pairs import TokenPairs


def exact(
    model: Model,
    pairs: TokenPairs,
    metric: str,
    batch_tokens: int,
    intervention: str,
    level: str,
    examples: bool,
) -> Scores:
    """How much the metric changes when one edge, node or neuron alone is ablated; as ``attribution.attribute``."""
    graph = model.graph
    circuits = [whole(graph), *without_each(graph, level)]
    values = evaluate(model, circuits, pairs, [metric], batch_tokens, intervention)[metric].double()
    changes = values[1:] - values[0]  # [edges, nodes or neurons, N]
    mean = changes.mean(dim=1).float()
    if level == "edge":
        scores = torch.zeros(graph.mask.shape)
        scores[graph.mask] = mean
    else:
        scores = mean if level == "node" else mean.view(graph.n_sources, graph.d_model)
    kept = None
    if examples:
        kept = changes.T.float().reshape(len(pairs), *(scores.shape if level == "neuron" else (-1,)))
    return Scores(scores, graph, "exact", metric, examples=kept, level=level)


def without_each(graph: Graph, level: str) -> Iterator[Circuit]:
    """The whole graph without one edge, node or neuron, for each of them in the graph's order."""
    if level == "edge":
        for u, v in graph.mask.nonzero().tolist():
            mask = graph.mask.clone()
            mask[u, v] = False
            yield Circuit(mask, graph, graph.n_edges - 1)
        return
    for source in range(graph.n_sources):
        if level == "node":
            nodes = torch.ones(graph.n_sources, dtype=torch.bool)
            nodes[source] = False
            yield Circuit(induced(nodes, graph), graph, graph.n_sources - 1, level)
            continue
        for neuron in range(graph.d_model):
            yield Circuit(
                graph.mask, graph, graph.n_sources * graph.d_model - 1, level, all_but(graph, source, neuron)
            )


def all_but(graph: Graph, source: int, neuron: int) -> Tensor:
    """bool [sources, D]: every neuron but one."""
    neurons = torch.ones(graph.n_sources, graph.d_model, dtype=torch.bool)
    neurons[source, neuron] = False
    return neurons
