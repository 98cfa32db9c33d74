"""Files of circuits and scores, of every format: they come back exactly, or are refused in one line."""

import json
import math

import numpy as np
import pytest
import torch
from circuits.damage import damaged_bytes, damaged_content
from circuits.random_scores import GRAPHS, equal_circuits, random_circuit, random_scores, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nightly import tries
from safetensors import safe_open
from safetensors.torch import save_file

from rewire.circuits import attribution, interchange, selection
from rewire.circuits.published import shapes
from rewire.circuits.selection import LEVELS, Circuit, Scores
from rewire.errors import InputError

PUBLISHED = {
    "json": (interchange.write_eap_json, interchange.read_eap_json),
    "pt": (interchange.write_eap_pt, interchange.read_eap_pt),
}
READERS = {
    "json": interchange.read_eap_json,
    "pt": interchange.read_eap_pt,
    "safetensors": interchange.read_scores,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("interchange")


@pytest.mark.parametrize("kind", PUBLISHED)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_published_files_come_back_exactly(folder, kind, level, graph):
    write, read = PUBLISHED[kind]
    scores = random_scores(graph, level)
    circuit = random_circuit(scores)
    write(circuit, scores, folder / kind)
    again, kept = read(folder / kind)
    assert same_bits(again.values, scores.values) and equal_circuits(kept, circuit)
    assert (again.graph, again.level, again.method) == (graph, level, "unknown")
    assert kept.requested == circuit.remaining


@settings(max_examples=tries(100, 1000), deadline=None)
@given(arrays(np.float32, (7, 15), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_every_finite_number_comes_back_exactly(folder, numbers):
    graph = GRAPHS[0]
    scores = Scores(torch.from_numpy(numbers).masked_fill(~graph.mask, 0), graph, "EAP", "nll")
    for kind, (write, read) in PUBLISHED.items():
        write(selection.whole(graph), scores, folder / kind)
        assert same_bits(read(folder / kind)[0].values, scores.values)
    relaid = json.dumps(json.loads((folder / "json").read_text()), indent=1)
    (folder / "relaid.json").write_text(relaid)
    assert same_bits(interchange.read_eap_json(folder / "relaid.json")[0].values, scores.values)


@pytest.mark.parametrize("level", LEVELS)
def test_scores_file_round_trip_is_exact(folder, level):
    graph = GRAPHS[0]
    scores = random_scores(graph, level)
    units = (graph.n_edges,) if level == "edge" else scores.values.shape
    scores = Scores(scores.values, graph, "EAP", "kl", 0.5, torch.randn(3, *units), level)
    circuit = random_circuit(scores)
    interchange.write_scores(scores, circuit, folder / "scores.safetensors")
    again, kept = interchange.read_scores(folder / "scores.safetensors")
    assert same_bits(again.values, scores.values) and same_bits(again.examples, scores.examples)
    assert (again.method, again.metric, again.level) == ("EAP", "kl", level)
    assert again.completeness_gap == 0.5
    assert equal_circuits(kept, circuit) and kept.requested == circuit.requested


@pytest.mark.parametrize("level", LEVELS)
def test_scores_alone_come_back_without_a_circuit(folder, level):
    scores = random_scores(GRAPHS[0], level)
    interchange.write_scores(scores, None, folder / "scores.safetensors")
    again, kept = interchange.read_scores(folder / "scores.safetensors")
    assert same_bits(again.values, scores.values) and again.level == level and kept is None


def test_what_attribution_finds_comes_back(case, tmp_path):
    scores = attribution.attribute(case.model, case.pairs)
    circuit = selection.top_n(scores, 20)
    interchange.write_scores(scores, circuit, tmp_path / "scores")
    interchange.write_eap_json(circuit, scores, tmp_path / "json")
    for again, kept in (
        interchange.read_scores(tmp_path / "scores"),
        interchange.read_eap_json(tmp_path / "json"),
    ):
        assert same_bits(again.values, scores.values) and equal_circuits(kept, circuit)


@pytest.mark.parametrize("level", LEVELS)
def test_same_scores_same_bytes_under_any_name(folder, level):
    scores = random_scores(GRAPHS[0], level)
    circuit = random_circuit(scores)
    for name in ("a", "another-name"):
        interchange.write_scores(scores, circuit, folder / name)
        interchange.write_eap_json(circuit, scores, folder / f"{name}.json")
        interchange.write_eap_pt(circuit, scores, folder / f"{name}.pt")
    for suffix in ("", ".json", ".pt"):
        first, second = (folder / f"{name}{suffix}" for name in ("a", "another-name"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("kind", PUBLISHED)
def test_coarser_scores_are_read_on_request(tmp_path, kind):
    write, read = PUBLISHED[kind]
    scores = random_scores(GRAPHS[0], "node")
    write(random_circuit(scores), scores, tmp_path / kind)
    assert not read(tmp_path / kind, "edge")[0].values.any()
    with pytest.raises(InputError, match=rf"{kind}: no scores of level 'neuron', only of edge, node"):
        read(tmp_path / kind, "neuron")


@pytest.mark.parametrize("kind", PUBLISHED)
def test_edges_decide_what_is_in_the_circuit(tmp_path, kind):
    """An unpruned circuit: m0 reads nothing that is in, so that the library flags it out, but what it writes is in."""
    write, read = PUBLISHED[kind]
    graph = GRAPHS[0]
    scores = random_scores(graph, "edge")
    mask = torch.zeros_like(graph.mask)
    mask[graph.sources.index("m0"), -1] = True
    write(Circuit(mask, graph, 1), scores, tmp_path / kind)
    if kind == "json":
        content = json.loads((tmp_path / kind).read_text())
        content["nodes"]["m0"]["in_graph"] = False
        (tmp_path / kind).write_text(json.dumps(content))
    else:
        content = torch.load(tmp_path / kind, weights_only=True)
        content["nodes_in_graph"][:] = False
        torch.save(content, tmp_path / kind)
    assert torch.equal(read(tmp_path / kind)[1].mask, mask)


@pytest.fixture(scope="module")
def valid(folder):
    """(format, level) -> a valid file."""
    files = {(kind, level): folder / f"valid-{level}.{kind}" for kind in READERS for level in LEVELS}
    for level in LEVELS:
        scores = random_scores(GRAPHS[0], level)
        circuit = random_circuit(scores)
        for kind, (write, _) in PUBLISHED.items():
            write(circuit, scores, files[kind, level])
        interchange.write_scores(scores, circuit, files["safetensors", level])
    return files


def check_read_or_refused(kind, path):
    """What is read is a circuit and its scores; what is not read is an error in one line that names the file."""
    try:
        scores, circuit = READERS[kind](path)
    except InputError as error:
        assert str(path) in str(error) and len(str(error).splitlines()) == 1 and len(str(error)) < 400
        return
    graph = scores.graph
    assert tuple(scores.values.shape) == shapes(graph)[scores.level]
    assert torch.isfinite(scores.values).all() and circuit.graph == graph
    assert circuit.mask.shape == graph.mask.shape and circuit.mask.dtype == torch.bool
    assert circuit.neurons is None or tuple(circuit.neurons.shape) == shapes(graph)["neuron"]


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=tries(200, 1500), deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(folder, valid, kind, data):
    path = folder / f"damaged.{kind}"
    content = valid[kind, data.draw(st.sampled_from(LEVELS))].read_bytes()
    path.write_bytes(data.draw(damaged_bytes(content)))
    check_read_or_refused(kind, path)


PLAIN = [
    None,
    True,
    0,
    -1,
    3,
    10**20,
    -(10**400),
    0.5,
    1e300,
    math.nan,
    math.inf,
    "",
    "input",
    [],
    {},
    [[0.5]],
]


@settings(max_examples=tries(300, 1500), deadline=None)
@given(st.data(), st.sampled_from(LEVELS))
def test_damaged_json_is_read_or_refused(folder, valid, data, level):
    content = json.loads(valid["json", level].read_text())
    damaged = data.draw(damaged_content(content, st.sampled_from(PLAIN)))
    (folder / "damaged.json").write_text(json.dumps(damaged))
    check_read_or_refused("json", folder / "damaged.json")


@settings(max_examples=tries(300, 1500), deadline=None)
@given(st.data(), st.sampled_from(LEVELS))
def test_damaged_pickles_are_read_or_refused(folder, valid, data, level):
    tensors = [
        torch.zeros(7, 15, dtype=torch.bool),
        torch.full((7, 15), math.nan),
        torch.zeros(7, dtype=torch.int64),
        torch.zeros(7, 3, dtype=torch.complex64),
        torch.zeros(1).expand(7, 15),
        torch.zeros(7, 15).to_sparse(),
        torch.zeros(7, 15, device="meta"),
    ]
    content = torch.load(valid["pt", level], weights_only=True)
    torch.save(data.draw(damaged_content(content, st.sampled_from(PLAIN + tensors))), folder / "damaged.pt")
    check_read_or_refused("pt", folder / "damaged.pt")


@settings(max_examples=tries(200, 1500), deadline=None)
@given(st.data(), st.sampled_from(LEVELS))
def test_damaged_scores_files_are_read_or_refused(folder, valid, data, level):
    with safe_open(valid["safetensors", level], framework="pt") as file:
        content = {
            "metadata": json.loads(file.metadata()["rewire"]),
            "tensors": {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118 - not a mapping
        }
    tensors = [torch.zeros(7, 15), torch.full((7,), 2, dtype=torch.uint8), torch.full((7, 3), math.inf)]
    damaged = data.draw(damaged_content(content, st.sampled_from(PLAIN + tensors)))
    metadata = {"rewire": json.dumps(damaged.get("metadata"), default=str)}
    kept = damaged.get("tensors") if isinstance(damaged.get("tensors"), dict) else {}
    kept = {
        name: tensor for name, tensor in kept.items() if isinstance(tensor, torch.Tensor) and name.isascii()
    }
    save_file(kept, folder / "damaged.safetensors", metadata=metadata)
    check_read_or_refused("safetensors", folder / "damaged.safetensors")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff not a file of ours", b"{}", b"[" * 100_000, "folder", "none"]
)
def test_what_is_no_such_file_is_named(tmp_path, kind, content):
    path = tmp_path / "circuit"
    if content == "folder":
        path.mkdir()
    elif content != "none":
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"circuit: [^\n]+$"):
        READERS[kind](path)


@pytest.mark.parametrize("broken", ["nan", "graph", "shape"])
def test_what_cannot_be_read_is_not_written(tmp_path, broken):
    scores = random_scores(GRAPHS[0], "edge")
    circuit = random_circuit(scores)
    if broken == "nan":
        scores.values[0, 3] = math.nan
        message = "the score of edge 'input->a0.h1<k>' is nan"
    elif broken == "graph":
        circuit = selection.whole(GRAPHS[1])
        message = "the circuit is of"
    else:
        scores = Scores(scores.values[:, :-1], scores.graph, "EAP", "nll")
        message = r"scores of level edge are \[7, 14\], not \[7, 15\]"
    for write in (
        lambda path: interchange.write_scores(scores, circuit, path),
        lambda path: interchange.write_eap_json(circuit, scores, path),
        lambda path: interchange.write_eap_pt(circuit, scores, path),
    ):
        with pytest.raises(InputError, match=rf"circuit: .*{message}"):
            write(tmp_path / "circuit")
    assert not list(tmp_path.iterdir())
