import torch

from rewire.circuits.comparison import change, jaccard, layer_change
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit


def circuit(graph: Graph, *edges: tuple[int, int]) -> Circuit:
    mask = torch.zeros_like(graph.mask)
    for u, v in edges:
        mask[u, v] = True
    return Circuit(mask, graph, len(edges))


def test_change_counts_by_hand():
    graph = Graph(1, 2, 8)  # sources input, a0.h0, a0.h1, m0
    before = circuit(graph, (0, 7), (0, 0), (1, 7))
    after = circuit(graph, (0, 7), (0, 6), (3, 7))
    found = change(before, after)
    assert found.edge_jaccard == 1 / 5 and (found.edges_born, found.edges_lost) == (2, 2)
    assert found.node_jaccard == 1 / 3 and (found.nodes_born, found.nodes_lost) == (1, 1)


def test_a_circuit_against_itself_does_not_change():
    graph = Graph(2, 2, 8)
    same = Circuit(graph.mask, graph, graph.n_edges)
    found = change(same, same)
    assert found.edge_jaccard == found.node_jaccard == 1 and found.edges_born == found.nodes_lost == 0


def test_jaccard_of_two_empty_circuits_is_one():
    nothing = torch.zeros(3, dtype=torch.bool)
    assert jaccard(nothing, nothing) == 1 and jaccard(nothing, ~nothing) == 0


def test_layer_change_sums_over_the_edges_that_a_layer_writes():
    graph = Graph(2, 2, 8)
    before, after = torch.zeros(graph.mask.shape), torch.zeros(graph.mask.shape)
    m0, m1, logits = 3, 6, graph.n_destinations - 1
    after[m0, logits], after[m1, logits], after[0, logits] = -2.0, 3.0, 9.0  # the embedding is no layer
    raw, normalised = layer_change(before, after, Circuit(graph.mask, graph, 0))
    edges = graph.mask.sum(1)
    assert raw.tolist() == [2.0, 3.0]
    assert normalised.tolist() == [2.0 / int(edges[1:4].sum()), 3.0 / int(edges[4:7].sum())]
