"""Circuits to set beside a circuit."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from rewire.circuits.controls import complement, node_group, random_like, without_edges, without_nodes
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, Scores, top_n, whole

graphs = st.builds(Graph, st.integers(1, 4), st.integers(1, 3), st.just(8), st.booleans())
seeds = st.integers(0, 10_000)
levels = st.sampled_from(["node", "neuron"])


def random_scores(graph: Graph, seed: int, level: str = "edge") -> Scores:
    shape = {"edge": graph.mask.shape, "node": (graph.n_sources,)}.get(
        level, (graph.n_sources, graph.d_model)
    )
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return Scores(values * graph.mask if level == "edge" else values, graph, "EAP", "nll", level=level)


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


@settings(max_examples=40, deadline=None)
@given(graphs, seeds, st.floats(0, 1), levels)
def test_random_nodes_and_neurons_have_the_size_and_layer_profile(graph, seed, share, level):
    scores = random_scores(graph, seed, level)
    circuit = top_n(scores, round(share * scores.values.numel()))
    other = random_like(circuit, torch.Generator().manual_seed(seed))
    assert other.requested == circuit.remaining
    group = node_group(graph)
    counts = []
    for tried in (circuit, other):
        kept = tried.nodes.long() if level == "node" else tried.neurons.sum(dim=1)
        counts.append(torch.zeros(int(group.max()) + 1, dtype=torch.long).index_add(0, group, kept))
    assert torch.equal(*counts)


@settings(max_examples=30, deadline=None)
@given(graphs, seeds, st.floats(0, 1))
def test_a_circuit_and_its_complement_make_the_whole(graph, seed, share):
    circuit = top_n(random_scores(graph, seed), round(share * graph.n_edges))
    rest = complement(circuit)
    assert torch.equal(circuit.mask ^ rest.mask, graph.mask) and rest.n_edges == rest.requested
    assert torch.equal(without_edges(whole(graph), circuit.mask).mask, rest.mask)
    assert torch.equal(complement(rest).mask, circuit.mask)


@settings(max_examples=30, deadline=None)
@given(graphs, seeds, levels)
def test_the_complement_of_nodes_shares_none_with_them(graph, seed, level):
    scores = random_scores(graph, seed, level)
    circuit = top_n(scores, scores.values.numel() // 2)
    rest = complement(circuit)
    if level == "node":
        assert not (rest.nodes & circuit.nodes).any()
        assert torch.equal(rest.mask, without_nodes(whole(graph), circuit.nodes).mask)
    else:
        assert torch.equal(rest.neurons, ~circuit.neurons)


def test_a_node_knocked_out_neither_reads_nor_writes():
    graph = Graph(2, 2, 8)
    removed = torch.zeros(graph.n_sources, dtype=torch.bool)
    removed[graph.sources.index("a0.h1")] = True
    left = without_nodes(whole(graph), removed)
    gone = {graph.edge_name(u, v) for u, v in (graph.mask & ~left.mask).nonzero().tolist()}
    assert gone == {
        name
        for name in (graph.edge_name(u, v) for u, v in graph.mask.nonzero().tolist())
        if "a0.h1" in name.replace("<", "->").split("->")
    }
