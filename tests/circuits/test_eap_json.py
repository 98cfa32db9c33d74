"""The published EAP-IG library's JSON: laid out as it writes it, read however it is laid out, errors that say where."""

import json

import pytest
import torch
from circuits.damage import damaged_bytes
from circuits.random_scores import GRAPHS, HARD, equal_circuits, random_circuit, random_scores, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.circuits import edge_text, selection
from rewire.circuits.eap_json import parse, read_eap_json, read_in_bulk, read_one_by_one, write_eap_json
from rewire.circuits.graph import Graph
from rewire.circuits.published import PublishedGraph
from rewire.circuits.selection import LEVELS, Scores
from rewire.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("eap-json")


def published_edges(graph: Graph) -> list[str]:
    """Every edge in the order in which the published library adds them to its graph."""
    stream, names = ["input"], []
    for layer in range(graph.n_layers):
        heads, mlp = [f"a{layer}.h{head}" for head in range(graph.n_heads)], f"m{layer}"
        for source in stream:
            names += [f"{source}->{head}<{letter}>" for head in heads for letter in "qkv"]
            names += [f"{source}->{mlp}"] * graph.parallel
        stream = stream + heads
        names += [f"{source}->{mlp}" for source in stream] * (not graph.parallel)
        stream = [*stream, mlp]
    return names + [f"{source}->logits" for source in stream]


@pytest.mark.parametrize("graph", GRAPHS)
def test_json_is_what_the_published_library_writes(tmp_path, graph):
    generator = torch.Generator().manual_seed(1)
    eighths = torch.randint(-64, 64, graph.mask.shape, generator=generator) / 8  # spelled alike by everyone
    scores = Scores(eighths.masked_fill(~graph.mask, 0), graph, "EAP", "nll")
    circuit = random_circuit(scores)
    write_eap_json(circuit, scores, tmp_path / "circuit.json")
    at = {graph.edge_name(u, v): (u, v) for u, v in graph.mask.nonzero().tolist()}
    nodes = dict(zip(graph.sources, circuit.nodes.tolist(), strict=True)) | {"logits": True}
    expected = {
        "cfg": {
            "n_layers": graph.n_layers,
            "n_heads": graph.n_heads,
            "parallel_attn_mlp": graph.parallel,
            "d_model": graph.d_model,
        },
        "nodes": {name: {"in_graph": flag} for name, flag in nodes.items()},
        "edges": {
            name: {"score": float(scores.values[at[name]]), "in_graph": bool(circuit.mask[at[name]])}
            for name in published_edges(graph)
        },
    }
    assert (tmp_path / "circuit.json").read_text() == json.dumps(expected)


def test_numbers_in_json_are_floats_to_every_parser(tmp_path):
    graph = GRAPHS[0]
    values = torch.tensor(HARD * 9)[: graph.mask.numel()].view(graph.mask.shape)
    scores = Scores(values.masked_fill(~graph.mask, 0), graph, "EAP", "nll")
    write_eap_json(selection.whole(graph), scores, tmp_path / "circuit.json")
    edges = json.loads((tmp_path / "circuit.json").read_text())["edges"]
    assert {type(edge["score"]) for edge in edges.values()} == {float}
    for u, v in graph.mask.nonzero().tolist():
        assert edges[graph.edge_name(u, v)]["score"] == float(scores.values[u, v])


def test_neurons_in_json_stand_where_the_published_library_reads_them(tmp_path):
    """Its reader assigns what stands at a head to all heads of the layer: one row a head."""
    graph = GRAPHS[0]
    scores = random_scores(graph, "neuron")
    circuit = random_circuit(scores)
    write_eap_json(circuit, scores, tmp_path / "circuit.json")
    nodes = json.loads((tmp_path / "circuit.json").read_text())["nodes"]
    read = torch.full((graph.n_sources, graph.d_model), torch.nan)
    flags = torch.zeros_like(read, dtype=torch.bool)
    for i, name in enumerate(graph.sources):
        layer = graph.first_source(int(graph.source_layer[i]))
        rows = slice(layer, layer + graph.n_heads) if ".h" in name else i
        read[rows] = torch.tensor(nodes[name]["neurons_scores"])
        flags[rows] = torch.tensor(nodes[name]["neurons"])
    assert same_bits(read, scores.values) and torch.equal(flags, circuit.neurons)
    assert nodes["logits"] == {"in_graph": True}


def test_a_row_a_head_is_read_too(tmp_path):
    graph = GRAPHS[0]
    scores = random_scores(graph, "neuron")
    circuit = random_circuit(scores)
    path = tmp_path / "circuit.json"
    write_eap_json(circuit, scores, path)
    content = json.loads(path.read_text())
    for i, name in enumerate(graph.sources):
        content["nodes"][name]["neurons"] = circuit.neurons[i].tolist()
        content["nodes"][name]["neurons_scores"] = scores.values[i].tolist()
    path.write_text(json.dumps(content))
    again, kept = read_eap_json(path)
    assert same_bits(again.values, scores.values) and equal_circuits(kept, circuit)


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([None, 1]), st.sampled_from(LEVELS))
def test_json_reads_alike_in_any_order_and_spacing(folder, random, indent, level):
    scores = random_scores(GRAPHS[0], level)
    circuit = random_circuit(scores)
    write_eap_json(circuit, scores, folder / "circuit.json")

    def shuffled(content):
        if not isinstance(content, dict):
            return content
        return {key: shuffled(content[key]) for key in random.sample(sorted(content), len(content))}

    content = shuffled(json.loads((folder / "circuit.json").read_text()))
    (folder / "shuffled.json").write_text(json.dumps(content, indent=indent))
    again, kept = read_eap_json(folder / "shuffled.json")
    assert same_bits(again.values, scores.values) and equal_circuits(kept, circuit)


def fields_of(published: PublishedGraph) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(published).items() if isinstance(value, torch.Tensor)}


def check_bulk_reads_as_the_parser(path, text: bytes) -> bool:
    """Whether ``text`` is read in bulk; if it is, the parser must read the same from it."""
    try:
        bulk = read_in_bulk(path, text)
    except InputError:
        return False
    if bulk is None:
        return False
    found, expected = fields_of(bulk), fields_of(read_one_by_one(path, parse(text)))
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0, equal_nan=True)
    return True


@pytest.mark.parametrize("piece", [1, 300, 4_000_000])
@pytest.mark.parametrize("level", LEVELS)
def test_what_we_and_the_library_write_is_read_in_bulk(tmp_path, monkeypatch, piece, level):
    monkeypatch.setattr(edge_text, "PIECE", piece)
    for graph in GRAPHS:
        path = tmp_path / "circuit.json"
        scores = random_scores(graph, level)
        write_eap_json(random_circuit(scores), scores, path)
        assert check_bulk_reads_as_the_parser(path, path.read_bytes())
        content = json.loads(path.read_text())  # the library's numbers are Python's: 1e-05 for 1e-5
        content["edges"] = dict(reversed(content["edges"].items()))
        assert check_bulk_reads_as_the_parser(path, json.dumps(content).encode())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_else_is_read_in_bulk(folder, data):
    path = folder / "damaged.json"
    scores = random_scores(GRAPHS[2], "edge")
    write_eap_json(random_circuit(scores), scores, path)
    check_bulk_reads_as_the_parser(path, data.draw(damaged_bytes(path.read_bytes())))


def broken(content: dict, how: str) -> None:
    cfg, nodes, edges = content["cfg"], content["nodes"], content["edges"]
    match how:
        case "no nodes":
            del content["nodes"]
        case "no size":
            del cfg["n_heads"]
        case "text for a size":
            cfg["n_layers"] = "2"
        case "negative size":
            cfg["n_heads"] = -2
        case "no layers":
            cfg["n_layers"] = 0
        case "a flag for a size":
            cfg["d_model"] = True
        case "huge sizes":
            cfg["n_layers"] = cfg["n_heads"] = 10**12
        case "too many layers":
            cfg["n_layers"] = 3
        case "number for a flag":
            cfg["parallel_attn_mlp"] = 0
        case "unknown node":
            nodes["m7"] = {"in_graph": True}
        case "no node":
            del nodes["a1.h0"]
        case "node without flag":
            nodes["m0"] = {}
        case "node score of one":
            nodes["m0"]["score"] = 0.5
        case "unknown edge":
            edges["m9->logits"] = {"score": 0.0, "in_graph": False}
        case "edge backwards":
            edges["m1->m0"] = edges.pop("m0->m1")
        case "no edge":
            del edges["input->logits"]
        case "no score":
            del edges["input->m0"]["score"]
        case "text for a score":
            edges["input->m0"]["score"] = "0.5"
        case "a flag for a score":
            edges["input->m0"]["score"] = True
        case "text for a flag":
            edges["input->m0"]["in_graph"] = "yes"
        case "nan":
            edges["input->m0"]["score"] = float("nan")
        case "beyond float32":
            edges["input->m0"]["score"] = 1e39
        case "a list of edges":
            content["edges"] = list(edges)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no nodes", "the key 'nodes' is missing"),
        ("no size", "cfg has no key 'n_heads'"),
        ("text for a size", "cfg.n_layers is '2', not a whole number from 1"),
        ("negative size", "cfg.n_heads is -2"),
        ("no layers", "cfg.n_layers is 0"),
        ("a flag for a size", "cfg.d_model is True"),
        ("huge sizes", "its cfg has 1000000000001000000000001 sources, the file 8"),
        ("too many layers", "node 'a2.h0' is missing"),
        ("number for a flag", "cfg.parallel_attn_mlp is 0, not true or false"),
        ("unknown node", "the graph has no node 'm7'"),
        ("no node", "node 'a1.h0' is missing"),
        ("node without flag", "node 'm0' needs the key in_graph"),
        ("node score of one", "node 'input' has no key 'score', others have"),
        ("unknown edge", "the graph has no edge 'm9->logits'"),
        ("edge backwards", "the graph has no edge 'm1->m0'"),
        ("no edge", "edge 'input->logits' is missing"),
        ("no score", "edge 'input->m0' needs the keys score and in_graph"),
        ("text for a score", "score of edge 'input->m0' is '0.5', not a number"),
        ("a flag for a score", "score of edge 'input->m0' is True, not a number"),
        ("text for a flag", "in_graph of edge 'input->m0' is 'yes', not true or false"),
        ("nan", "the score of edge 'input->m0' is nan, no finite float32"),
        ("beyond float32", "the score of edge 'input->m0' is inf, no finite float32"),
        ("a list of edges", r"edges is \['input->"),
    ],
)
def test_broken_files_say_where(tmp_path, how, message):
    path = tmp_path / "circuit.json"
    scores = random_scores(GRAPHS[0], "edge")
    write_eap_json(random_circuit(scores), scores, path)
    content = json.loads(path.read_text())
    broken(content, how)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"circuit\.json: .*{message}"):
        read_eap_json(path)


@pytest.mark.parametrize(
    ("level", "node", "key", "value", "message"),
    [
        ("node", "m0", "score", float("inf"), "the score of node 'm0' is inf"),
        ("node", "m0", "score", [0.5], r"score of node 'm0' is \[0.5\]"),
        (
            "neuron",
            "m0",
            "neurons_scores",
            [0.5],
            "neurons_scores of node 'm0' is not one value for each of 3",
        ),
        (
            "neuron",
            "m0",
            "neurons_scores",
            [0.5, 0.5, float("nan")],
            "the score of neuron 2 of node 'm0' is nan",
        ),
        ("neuron", "m0", "neurons", [1, 0, 1], "neurons of node 'm0' is not one value for each of 3"),
        ("neuron", "a0.h1", "neurons", [[True] * 3] * 2, "nodes 'a0.h0' and 'a0.h1' disagree on neurons"),
        ("neuron", "a0.h1", "neurons", [[True] * 3] * 3, "neurons of node 'a0.h1' is not one value"),
    ],
)
def test_broken_nodes_and_neurons_say_where(tmp_path, level, node, key, value, message):
    path = tmp_path / "circuit.json"
    scores = random_scores(GRAPHS[0], level)
    write_eap_json(random_circuit(scores), scores, path)
    content = json.loads(path.read_text())
    content["nodes"][node][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"circuit\.json: .*{message}"):
        read_eap_json(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"input->m0": {',
            '"input->m0": {"score": 1.0, "in_graph": true}, "input->m0": {',
            "'input->m0' stands twice",
        ),
        ('"m0": {', '"m0": {"in_graph": true, ', "'in_graph' stands twice"),
        ('"cfg"', '"nodes": {}, "cfg"', "'nodes' stands twice"),
        ('"input->m0": {"score": ', '"input->m0": {"score": +', "not a JSON file"),
        ('"input->m0": {"score": ', '"input->m0": {"score": 0', "not a JSON file"),
        ('"input->m0"', '"input->m\xff"', "not a JSON file"),
        ('"cfg": {', '"cfg": ' + "[" * 100_000 + "{", "not a JSON file"),
        ("}}", "}", "not a JSON file"),
    ],
)
def test_text_that_is_not_strict_json_is_refused(tmp_path, old, new, message):
    path = tmp_path / "circuit.json"
    scores = random_scores(GRAPHS[0], "edge")
    write_eap_json(random_circuit(scores), scores, path)
    text = path.read_text()
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    with pytest.raises(InputError, match=rf"circuit\.json: .*{message}"):
        read_eap_json(path)
