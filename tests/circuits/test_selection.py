import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from rewire.circuits.graph import Graph
from rewire.circuits.controls import random_like
from rewire.circuits.selection import Circuit, Scores, greedy, prune, ranking, top_n
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


@settings(max_examples=30, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_greedy_edges_lead_to_the_logits(graph, seed, share):
    circuit = greedy(random_scores(graph, seed), round(share * graph.n_edges))
    assert torch.equal(circuit.mask, prune(circuit.mask, graph))


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_random_circuits_have_the_edge_count_and_layer_profile(graph, seed, share):
    circuit = top_n(random_scores(graph, seed), round(share * graph.n_edges))
    other = random_like(circuit, torch.Generator().manual_seed(seed))
    assert other.n_edges == circuit.n_edges and not (other.mask & ~graph.mask).any()
    assert profile(other) == profile(circuit)


def profile(circuit: Circuit) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for u, v in circuit.mask.nonzero().tolist():
        key = (int(circuit.graph.source_layer[u]), int(circuit.graph.destination_layer[v]))
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_random_circuits_differ_by_seed_and_repeat_with_it():
    graph = Graph(4, 3, 8)
    circuit = top_n(random_scores(graph, 0), 60)
    draws = [random_like(circuit, torch.Generator().manual_seed(seed)).mask for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_more_edges_than_the_graph_has_are_refused():
    scores = random_scores(Graph(2, 2, 8), 0)
    with pytest.raises(InputError, match="47 edges"):
        top_n(scores, scores.graph.n_edges + 1)
