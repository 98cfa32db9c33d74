"""The published EAP-IG library's binary file: its keys, what the library leaves in it, errors that say where."""

import pytest
import torch
from circuits.random_scores import GRAPHS, random_circuit, random_scores, same_bits

from rewire.circuits import selection
from rewire.circuits.eap_pt import read_eap_pt, write_eap_pt
from rewire.circuits.selection import LEVELS
from rewire.errors import InputError


@pytest.mark.parametrize("level", LEVELS)
def test_pt_has_the_published_keys(tmp_path, level):
    scores = random_scores(GRAPHS[0], level)
    circuit = random_circuit(scores)
    write_eap_pt(circuit, scores, tmp_path / "circuit.pt")
    content = torch.load(tmp_path / "circuit.pt", weights_only=True)
    keys = {"cfg", "src_nodes", "dst_nodes", "edges_scores", "edges_in_graph", "nodes_in_graph"}
    more = {"edge": set(), "node": {"nodes_scores"}, "neuron": {"neurons_scores", "neurons_in_graph"}}
    assert set(content) == keys | more[level]
    assert (
        content["src_nodes"] == circuit.graph.sources and content["dst_nodes"] == circuit.graph.destinations
    )
    assert torch.equal(content["nodes_in_graph"], circuit.nodes)
    assert torch.equal(content[f"{level}s_scores"], scores.values)
    assert level == "edge" or not content["edges_scores"].any()


def test_edges_that_do_not_exist_are_left_out(tmp_path):
    """The published library flags every edge of a chosen node, those that do not exist too, and keeps them in .pt."""
    graph = GRAPHS[0]
    scores = random_scores(graph, "edge")
    write_eap_pt(selection.whole(graph), scores, tmp_path / "circuit.pt")
    content = torch.load(tmp_path / "circuit.pt", weights_only=True)
    content["edges_in_graph"][:] = True
    content["edges_scores"][~graph.mask] = torch.nan
    torch.save(content, tmp_path / "circuit.pt")
    again, kept = read_eap_pt(tmp_path / "circuit.pt")
    assert same_bits(again.values, scores.values) and torch.equal(kept.mask, graph.mask)


class Runs:
    """A pickle that would run code when it is loaded."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cfg", Runs(), "not a circuit file of tensors and plain values alone"),
        ("cfg", None, "cfg is None, not a mapping"),
        ("edges_in_graph", "left out", "the key 'edges_in_graph' is missing"),
        ("edges_scores", [0.5], "edges_scores is a list, not a dense tensor"),
        ("edges_scores", torch.zeros(7, 15).to_sparse(), "edges_scores is a Tensor, not a dense tensor"),
        ("edges_scores", torch.zeros(7, 14), r"edges_scores is \[7, 14\], the graph needs \[7, 15\]"),
        ("edges_scores", torch.zeros(7, 15, dtype=torch.int64), "edges_scores is torch.int64"),
        (
            "edges_scores",
            torch.zeros(1).expand(7, 15),
            "edges_scores has fewer values in the file than its size",
        ),
        ("edges_scores", torch.zeros(7, 15, device="meta"), "edges_scores has fewer values in the file"),
        ("edges_scores", torch.full((7, 15), torch.nan), "the score of edge 'input->a0.h0<q>' is nan"),
        ("edges_in_graph", torch.ones(7, 15), "edges_in_graph is torch.float32"),
        ("nodes_scores", torch.full((7,), torch.inf), "the score of node 'input' is inf"),
        ("neurons_scores", torch.zeros(7, 4), r"neurons_scores is \[7, 4\], the graph needs \[7, 3\]"),
        ("src_nodes", ["input"], r"src_nodes is \['input'\], the graph needs 7 names"),
        ("dst_nodes", ["logits"] * 15, r"dst_nodes\[0\] is 'logits', the graph needs 'a0.h0<q>'"),
    ],
)
def test_broken_files_say_where(tmp_path, key, value, message):
    path = tmp_path / "circuit.pt"
    scores = random_scores(GRAPHS[0], "edge")
    write_eap_pt(random_circuit(scores), scores, path)
    content = torch.load(path, weights_only=True)
    content[key] = value
    if isinstance(value, str):
        del content[key]
    torch.save(content, path)
    with pytest.raises(InputError, match=rf"circuit\.pt: .*{message}"):
        read_eap_pt(path)


@pytest.mark.parametrize("size", [10**12, -(10**12), 10**30])
def test_sizes_that_the_tensors_do_not_have_are_refused(tmp_path, size):
    path = tmp_path / "circuit.pt"
    scores = random_scores(GRAPHS[0], "edge")
    write_eap_pt(random_circuit(scores), scores, path)
    content = torch.load(path, weights_only=True)
    content["cfg"]["n_layers"] = size
    torch.save(content, path)
    with pytest.raises(
        InputError, match=r"circuit\.pt: (cfg.n_layers is|edges_in_graph is \[7, 15\], the graph needs)"
    ):
        read_eap_pt(path)


def test_what_is_no_mapping_is_named(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "circuit.pt")
    with pytest.raises(InputError, match=r"circuit\.pt: not a circuit file: it holds a Tensor"):
        read_eap_pt(tmp_path / "circuit.pt")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_scores_of_other_floats_are_read_as_float32(tmp_path, dtype):
    path = tmp_path / "circuit.pt"
    scores = random_scores(GRAPHS[0], "node")
    write_eap_pt(random_circuit(scores), scores, path)
    content = torch.load(path, weights_only=True)
    content["nodes_scores"] = torch.arange(7).to(dtype)
    torch.save(content, path)
    assert same_bits(read_eap_pt(path)[0].values, torch.arange(7).float())
