import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from rewire.circuits import ensembles
from rewire.circuits.ensembles import ensemble, entry_thresholds, packed, unpacked
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Scores, prune, top_n
from rewire.errors import InputError

graphs = st.builds(Graph, st.integers(1, 4), st.integers(1, 3), st.just(8), st.booleans())
seeds = st.integers(0, 10_000)


def random_rows(graph: Graph, seed: int, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, graph.n_edges, generator=torch.Generator().manual_seed(seed))


def pruned_at(row: torch.Tensor, threshold: float, graph: Graph) -> torch.Tensor:
    """By definition: the edges whose |score| is at least ``threshold`` and not 0, pruned; bool [sources, destinations]."""
    strength = unpacked(row[None].abs(), graph)[0]
    return prune((strength >= threshold) & (strength > 0), graph)


@settings(max_examples=60, deadline=None)
@given(graphs, seeds, st.floats(0.1, 3))
def test_an_edge_enters_at_its_threshold(graph, seed, threshold):
    rows = random_rows(graph, seed).round(decimals=1)  # with ties and zeros
    entered = entry_thresholds(rows.abs(), graph) >= threshold
    for row, edges in zip(rows, entered, strict=True):
        assert torch.equal(edges, packed(pruned_at(row, threshold, graph), graph))


@settings(max_examples=60, deadline=None)
@given(graphs, seeds, st.floats(0, 1), st.sampled_from([1, 6]))
def test_the_threshold_is_the_highest_that_leaves_the_size(graph, seed, share, decimals):
    size = max(1, round(share * graph.n_edges))
    circuits = ensemble(random_rows(graph, seed).round(decimals=decimals), graph, size)
    for row, edges, nodes in zip(circuits.scores, circuits.edges, circuits.nodes, strict=True):
        levels = sorted(set(row.abs().tolist()), reverse=True)
        found = (pruned_at(row, level, graph) for level in levels)
        expected = next((mask for mask in found if mask.sum() >= size), pruned_at(row, 0, graph))
        assert torch.equal(edges, packed(expected, graph)) and torch.equal(nodes, expected.any(dim=1))


@settings(max_examples=30, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_circuits_are_top_n_circuits(graph, seed, share):
    row = random_rows(graph, seed, 1)
    edges = ensemble(row, graph, max(1, round(share * graph.n_edges))).edges
    scores = Scores(unpacked(row, graph)[0], graph, "EAP", "nll")
    n = int((row.abs() >= row.abs()[edges].min()).sum())
    assert torch.equal(edges[0], packed(top_n(scores, n).mask, graph))


def test_scores_of_0_are_in_no_circuit():
    graph = Graph(2, 2, 8)
    assert not ensemble(torch.zeros(1, graph.n_edges), graph, 5).edges.any()


def test_blocks_change_nothing(monkeypatch):
    graph = Graph(3, 2, 8)
    rows = random_rows(graph, 0, 9)
    together = ensemble(rows, graph, 20)
    monkeypatch.setattr(ensembles, "BLOCK", 2 * graph.mask.numel())
    assert torch.equal(together.edges, ensemble(rows, graph, 20).edges) and len(together) == 9


def test_packing_is_the_order_of_the_graphs_edges():
    graph = Graph(2, 2, 8)
    rows = random_rows(graph, 1)
    dense = unpacked(rows, graph, float("nan"))
    assert torch.equal(packed(dense, graph), rows) and torch.isnan(dense[:, ~graph.mask]).all()
    u, v = graph.mask.nonzero()[5].tolist()
    assert torch.equal(dense[:, u, v], rows[:, 5])


@pytest.mark.parametrize("size", [0, 47])
def test_a_size_that_the_graph_does_not_have_is_refused(size):
    graph = Graph(2, 2, 8)
    with pytest.raises(InputError, match=f"circuits of {size} edges: the graph has 46"):
        ensemble(random_rows(graph, 0), graph, size)
