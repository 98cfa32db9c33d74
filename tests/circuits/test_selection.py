import heapq

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from rewire.circuits.graph import Graph
from rewire.circuits.selection import (
    Scores,
    greedy,
    induced,
    prune,
    ranking,
    threshold,
    top_n,
)
from rewire.errors import InputError

graphs = st.builds(Graph, st.integers(1, 4), st.integers(1, 3), st.just(8), st.booleans())
seeds = st.integers(0, 10_000)


def random_scores(graph: Graph, seed: int) -> Scores:
    values = torch.randn(graph.mask.shape, generator=torch.Generator().manual_seed(seed)) * graph.mask
    return Scores(values, graph, "EAP", "nll")


def slow_prune(mask: torch.Tensor, graph: Graph) -> set[tuple[str, str]]:
    """By definition: drop edges until every node but input and logits has edges in and out."""
    edges = {(graph.sources[u], graph.destinations[v]) for u, v in mask.nonzero().tolist()}
    while True:
        starts = {source for source, _ in edges}
        ends = {destination.split("<")[0] for _, destination in edges}
        kept = {
            (s, d)
            for s, d in edges
            if (s == "input" or s in ends) and (d == "logits" or d.split("<")[0] in starts)
        }
        if kept == edges:
            return edges
        edges = kept


@settings(max_examples=60, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_prune_reaches_the_fixed_point(graph, seed, share):
    mask = graph.mask & (torch.rand(graph.mask.shape, generator=torch.Generator().manual_seed(seed)) < share)
    pruned = prune(mask, graph)
    assert not (pruned & ~mask).any()
    found = {(graph.sources[u], graph.destinations[v]) for u, v in pruned.nonzero().tolist()}
    assert found == slow_prune(mask, graph)
    assert torch.equal(prune(pruned, graph), pruned)


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 1), st.booleans())
def test_top_n_takes_the_best_edges(graph, seed, share, absolute):
    scores = random_scores(graph, seed)
    n = round(share * graph.n_edges)
    circuit = top_n(scores, n, absolute)
    assert circuit.requested == n and circuit.n_edges <= n
    strength = scores.values.abs() if absolute else scores.values
    best = torch.zeros_like(graph.mask)
    best.view(-1)[ranking(scores, absolute)[:n]] = True
    outside = graph.mask & ~best
    if n and outside.any():
        assert strength[best].min() >= strength[outside].max()
    assert torch.equal(circuit.mask, prune(best, graph))


@settings(max_examples=30, deadline=None)
@given(graphs, seeds)
def test_all_edges_are_the_whole_graph(graph, seed):
    scores = random_scores(graph, seed)
    assert torch.equal(top_n(scores, graph.n_edges).mask, graph.mask)
    assert torch.equal(greedy(scores, graph.n_edges).mask, graph.mask)
    assert not top_n(scores, 0).mask.any() and not greedy(scores, 0).mask.any()


def slow_greedy(scores: Scores, n: int, absolute: bool) -> torch.Tensor:
    """By definition, one edge at a time from a heap of all edges into nodes already reached."""
    graph = scores.graph
    strength = (scores.values.abs() if absolute else scores.values).double()
    nodes = graph.destination_node.tolist()
    mask = torch.zeros_like(graph.mask)
    reached, frontier = {0}, []
    opened = [graph.n_destinations - 1]
    for _ in range(n):
        for v in opened:
            for u in range(int(graph.readable[v])):
                heapq.heappush(frontier, (-float(strength[u, v]), u, v))
        _, u, v = heapq.heappop(frontier)
        mask[u, v] = True
        opened = [v for v in range(len(nodes) - 1) if nodes[v] == u and u not in reached]
        reached.add(u)
    return prune(mask, graph)


@settings(max_examples=80, deadline=None)
@given(graphs, seeds, st.floats(0, 1), st.booleans(), st.booleans())
def test_greedy_takes_the_best_edge_within_reach(graph, seed, share, absolute, ties):
    scores = random_scores(graph, seed)
    if ties:
        scores = Scores((scores.values * 2).round(), graph, "EAP", "nll")
    n = round(share * graph.n_edges)
    circuit = greedy(scores, n, absolute)
    assert circuit.requested == n
    assert torch.equal(circuit.mask, slow_greedy(scores, n, absolute))


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 2), st.booleans())
def test_a_threshold_takes_every_edge_that_reaches_it(graph, seed, least, absolute):
    scores = random_scores(graph, seed)
    strength = scores.values.abs() if absolute else scores.values
    circuit = threshold(scores, least, absolute)
    chosen = graph.mask & (strength >= least)
    assert circuit.requested == int(chosen.sum())
    assert torch.equal(circuit.mask, prune(chosen, graph))


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 1), st.booleans())
def test_top_nodes_keep_every_edge_between_them(graph, seed, share, absolute):
    values = torch.randn(graph.n_sources, generator=torch.Generator().manual_seed(seed))
    scores = Scores(values, graph, "EAP", "nll", level="node")
    n = round(share * graph.n_sources)
    circuit = top_n(scores, n, absolute)
    best = set(ranking(scores, absolute)[:n].tolist())
    names = {graph.sources[u] for u in best} | {"logits"}
    between = torch.zeros_like(graph.mask)
    for u, v in graph.mask.nonzero().tolist():
        between[u, v] = graph.sources[u] in names and graph.destinations[v].split("<")[0] in names
    assert torch.equal(circuit.mask, prune(between, graph))
    assert circuit.requested == n and circuit.remaining == int(circuit.nodes.sum())
    if 0 not in best:  # nothing reaches the circuit from the input
        assert circuit.remaining == 0


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_top_neurons_keep_the_nodes_they_belong_to(graph, seed, share):
    shape = (graph.n_sources, graph.d_model)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    scores = Scores(values, graph, "EAP", "nll", level="neuron")
    n = round(share * values.numel())
    circuit = top_n(scores, n)
    chosen = torch.zeros(shape, dtype=torch.bool)
    chosen.view(-1)[values.abs().flatten().sort(descending=True).indices[:n]] = True
    mask = prune(induced(chosen.any(dim=1), graph), graph)
    assert torch.equal(circuit.mask, mask)
    assert torch.equal(circuit.neurons, chosen & mask.any(dim=1)[:, None])
    assert circuit.requested == n and circuit.remaining == int(circuit.neurons.sum())


def test_greedy_selection_is_of_edges():
    scores = Scores(torch.ones(7), Graph(2, 2, 8), "EAP", "nll", level="node")
    with pytest.raises(InputError, match="level 'node'"):
        greedy(scores, 2)


def test_more_edges_than_the_graph_has_are_refused():
    scores = random_scores(Graph(2, 2, 8), 0)
    with pytest.raises(InputError, match="47 edges"):
        top_n(scores, scores.graph.n_edges + 1)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(number):
    scores = random_scores(Graph(2, 2, 8), 0)
    scores.values[1, 3] = number
    for choose in (top_n, greedy, threshold):
        with pytest.raises(InputError, match=r"score of edge \[1, 3\] is"):
            choose(scores, 5)
