import json

import pytest
import torch

from rewire.circuits.graph import Graph

# edge counts of published models: layers, heads, parallel blocks, edges
PUBLISHED = {
    "gpt2": (12, 12, False, 32_491),
    "gpt2-medium": (24, 16, False, 231_877),
    "gpt2-large": (36, 20, False, 810_703),
    "gpt2-xl": (48, 25, False, 2_235_025),
    "distilgpt2": (6, 12, False, 7_588),
    "pythia-70m": (6, 8, True, 3_580),
    "pythia-160m": (12, 12, True, 32_347),
    "pythia-410m": (24, 16, True, 231_493),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_edge_counts_of_published_models(name):
    layers, heads, parallel, edges = PUBLISHED[name]
    graph = Graph(layers, heads, 1, parallel)
    assert graph.n_edges == edges == int(graph.mask.sum())
    assert graph.n_sources == len(graph.sources) == 1 + layers * (heads + 1)
    assert graph.n_destinations == len(graph.destinations) == layers * (3 * heads + 1) + 1


def test_names_are_those_of_the_published_library(golden):
    for folder in golden.values():
        described = json.loads((folder / "golden.json").read_text())
        config = described["config"]
        graph = Graph(config["n_layer"], config["n_head"], config["n_embd"])
        assert graph.sources == described["sources"]
        assert graph.destinations == described["destinations"]
        assert graph.n_edges == described["n_edges"]


@pytest.mark.parametrize("parallel", [False, True])
def test_an_edge_exists_where_the_source_writes_before_the_destination_reads(parallel):
    graph = Graph(3, 2, 8, parallel)
    for u, source in enumerate(graph.sources):
        for v, destination in enumerate(graph.destinations):
            assert bool(graph.mask[u, v]) == writes_before(source, destination, parallel), (
                source,
                destination,
            )


def writes_before(source: str, destination: str, parallel: bool) -> bool:
    if source == "input" or destination == "logits":
        return True
    writer, reader = int(source[1:].split(".")[0]), int(destination[1:].split(".")[0])
    if writer != reader:
        return writer < reader
    return source[0] == "a" and destination[0] == "m" and not parallel


def test_layers_and_nodes_of_both_axes():
    graph = Graph(2, 2, 8)
    assert graph.source_layer.tolist() == [-1, 0, 0, 0, 1, 1, 1]
    assert graph.destination_layer.tolist() == [0] * 7 + [1] * 7 + [2]
    for v, node in enumerate(graph.destination_node.tolist()):
        expected = "logits" if node == -1 else graph.sources[node]
        assert graph.destinations[v].split("<")[0] == expected
    assert graph.edge_name(1, 3) == "a0.h0->a0.h1<k>" and torch.equal(graph.readable, graph.mask.sum(0))
