import json

import pytest
import torch

from rewire.circuits import attribution, interchange, selection
from rewire.errors import InputError


@pytest.fixture(scope="module")
def found(case):
    scores = attribution.attribute(case.model, case.pairs)
    return scores, selection.top_n(scores, 20)


def test_scores_file_round_trip_is_exact(found, tmp_path):
    scores, circuit = found
    interchange.write_scores(scores, circuit, tmp_path / "scores.safetensors")
    again, kept = interchange.read_scores(tmp_path / "scores.safetensors")
    assert torch.equal(again.values, scores.values) and torch.equal(kept.mask, circuit.mask)
    assert (again.method, again.metric, again.graph) == (scores.method, scores.metric, scores.graph)
    assert again.completeness_gap == scores.completeness_gap and kept.requested == circuit.requested


def test_same_scores_same_bytes(found, tmp_path):
    scores, circuit = found
    for name in ("a", "b"):
        interchange.write_scores(scores, circuit, tmp_path / name)
        interchange.write_eap_json(circuit, scores, tmp_path / f"{name}.json")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_has_the_published_layout_and_comes_back_exactly(found, tmp_path):
    scores, circuit = found
    path = tmp_path / "circuit.json"
    interchange.write_eap_json(circuit, scores, path)
    content = json.loads(path.read_text())
    assert set(content) == {"cfg", "nodes", "edges"}
    assert set(content["cfg"]) == {"n_layers", "n_heads", "parallel_attn_mlp", "d_model"}
    assert set(content["nodes"]) == {*circuit.graph.sources, "logits"}
    assert len(content["edges"]) == circuit.graph.n_edges
    again, kept = interchange.read_eap_json(path)
    assert torch.equal(again.values, scores.values) and torch.equal(kept.mask, circuit.mask)


def broken(content, how):
    if how == "no cfg":
        del content["cfg"]
    elif how == "unknown edge":
        content["edges"]["m9->logits"] = {"score": 0.0, "in_graph": False}
    elif how == "missing edge":
        del content["edges"]["input->logits"]
    elif how == "no flag":
        del content["edges"]["input->m0"]["in_graph"]
    else:
        content["edges"]["input->m0"]["score"] = float("nan")
    return content


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("no cfg", "cfg"),
        ("unknown edge", "m9->logits"),
        ("missing edge", "input->logits"),
        ("no flag", "input->m0"),
        ("nan", "input->m0"),
    ],
)
def test_broken_files_are_named(found, tmp_path, how, word):
    scores, circuit = found
    path = tmp_path / "circuit.json"
    interchange.write_eap_json(circuit, scores, path)
    path.write_text(json.dumps(broken(json.loads(path.read_text()), how)))
    with pytest.raises(InputError, match=rf"circuit\.json.*{word}"):
        interchange.read_eap_json(path)


def test_files_of_another_kind_are_named(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(b"\x00\xff not a file of ours")
    for read in (interchange.read_scores, interchange.read_eap_json):
        with pytest.raises(InputError, match="noise"):
            read(path)


def test_binary_files_come_back_exactly(found, tmp_path):
    scores, circuit = found
    interchange.write_eap_pt(circuit, scores, tmp_path / "circuit.pt")
    again, kept = interchange.read_eap_pt(tmp_path / "circuit.pt")
    assert torch.equal(again.values, scores.values) and torch.equal(kept.mask, circuit.mask)
    content = torch.load(tmp_path / "circuit.pt", weights_only=True)
    assert (
        content["src_nodes"] == circuit.graph.sources and content["dst_nodes"] == circuit.graph.destinations
    )


@pytest.mark.parametrize("how", ["no scores", "wrong size", "nan", "code", "noise"])
def test_broken_binary_files_are_named(found, tmp_path, how):
    scores, circuit = found
    path = tmp_path / "circuit.pt"
    interchange.write_eap_pt(circuit, scores, path)
    content = torch.load(path, weights_only=True)
    if how == "no scores":
        del content["edges_scores"]
    elif how == "wrong size":
        content["edges_in_graph"] = content["edges_in_graph"][1:]
    elif how == "nan":
        content["edges_scores"][0, 0] = float("nan")
    elif how == "code":
        content["cfg"] = Runs()
    torch.save(content, path)
    if how == "noise":
        path.write_bytes(b"not a file of torch")
    with pytest.raises(InputError, match=r"circuit\.pt"):
        interchange.read_eap_pt(path)


class Runs:
    """A pickle that would run code when it is loaded."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)
