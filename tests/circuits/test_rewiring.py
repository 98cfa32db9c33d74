import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from rewire.circuits.ensembles import ensemble, nodes_of, unpacked
from rewire.circuits.graph import Graph
from rewire.circuits.rewiring import replaced_nodes, rewired_edges
from rewire.circuits.selection import prune

graphs = st.builds(Graph, st.integers(1, 4), st.integers(1, 4), st.just(8), st.booleans())
seeds = st.integers(0, 10_000)


def circuit_of(graph: Graph, seed: int) -> torch.Tensor:
    scores = torch.randn(1, graph.n_edges, generator=torch.Generator().manual_seed(seed))
    return ensemble(scores, graph, max(1, graph.n_edges // 4)).edges[0]


def layer_profile(edges: torch.Tensor, graph: Graph) -> list[tuple[int, int]]:
    u, v = graph.mask.nonzero()[edges].T
    ends = zip(graph.source_layer[u].tolist(), graph.destination_layer[v].tolist(), strict=True)
    return sorted(ends)


@settings(max_examples=40, deadline=None)
@given(graphs, seeds)
def test_replaced_nodes_are_a_circuit_with_other_heads(graph, seed):
    edges = circuit_of(graph, seed)
    for order in replaced_nodes(graph, 3, torch.Generator().manual_seed(seed)):
        assert sorted(order.tolist()) == list(range(graph.n_edges))
        replaced = edges[order]
        assert layer_profile(replaced, graph) == layer_profile(edges, graph)
        mask = unpacked(replaced[None], graph)[0]
        assert torch.equal(prune(mask, graph), mask), "paths stay paths"
        before, after = (nodes_of(one[None], graph)[0] for one in (edges, replaced))
        assert before.sum() == after.sum()
        for layer in range(graph.n_layers):  # the layer's MLP and the input stay
            mlp = graph.first_source(layer) + graph.n_heads
            assert before[mlp] == after[mlp] and before[0] == after[0]


def test_a_head_takes_its_queries_keys_values_and_outputs_with_it():
    graph = Graph(2, 2, 8)
    orders = replaced_nodes(graph, 20, torch.Generator().manual_seed(0))
    swapped = next(
        order for order in orders if order[0] == 1
    )  # input -> a0.h0<q> takes the place of a0.h1<q>
    u, v = graph.mask.nonzero().T
    place = {
        (graph.sources[a], graph.destinations[b]): i
        for i, (a, b) in enumerate(zip(u.tolist(), v.tolist(), strict=True))
    }
    for letter in "qkv":
        assert swapped[place["input", f"a0.h0<{letter}>"]] == place["input", f"a0.h1<{letter}>"]
    assert swapped[place["a0.h0", "m0"]] == place["a0.h1", "m0"]
    assert swapped[place["a0.h0", "logits"]] == place["a0.h1", "logits"]
    drawn = {tuple(order.tolist()) for order in orders}
    assert len(drawn) == 4, "every order of the heads of both layers"


@settings(max_examples=40, deadline=None)
@given(graphs, seeds)
def test_rewired_edges_stay_between_kept_nodes_and_layers(graph, seed):
    edges = circuit_of(graph, seed)
    order = rewired_edges(edges, graph, torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(graph.n_edges))
    rewired = edges[order]
    assert layer_profile(rewired, graph) == layer_profile(edges, graph)
    before, after = (nodes_of(one[None], graph)[0] for one in (edges, rewired))
    assert not (after & ~before).any(), "no node that was not in the circuit"
    moved = order != torch.arange(graph.n_edges)
    u, v = graph.mask.nonzero()[moved].T
    reader = torch.cat([before[graph.destination_node[:-1]], torch.tensor([True])])
    assert before[u].all() and reader[v].all()
