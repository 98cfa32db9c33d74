"""Submissions to the MIB leaderboard, held against how its evaluation finds, loads and measures them."""

import json
import math
from dataclasses import replace

import pytest
import torch

from rewire.circuits import leaderboard, selection
from rewire.circuits.eap_json import read_eap_json
from rewire.circuits.eap_pt import read_eap_pt
from rewire.circuits.graph import Graph
from rewire.circuits.selection import LEVELS, Circuit, Scores
from rewire.errors import InputError

GPT2 = leaderboard.GRAPHS["gpt2"]
SMALL = Graph(2, 3, 8)


@pytest.fixture
def small_gpt2(monkeypatch):
    """A leaderboard whose GPT-2 is small enough to search over its neurons."""
    monkeypatch.setitem(leaderboard.GRAPHS, "gpt2", SMALL)


def scores_of(graph, level="edge", metric="nll", seed=0):
    shape = {"edge": graph.mask.shape, "node": (graph.n_sources,), "neuron": (graph.n_sources, graph.d_model)}
    values = torch.randn(shape[level], generator=torch.Generator().manual_seed(seed))
    return Scores(values, graph, "EAP", metric, level=level)


def published_edge_count(content):
    """The evaluation's weighted edge count: each edge weighted by its source's share of neurons in the circuit."""
    edges = content["edges_in_graph"].double()
    if "neurons_in_graph" not in content:
        return float(edges.sum())
    neurons = content["neurons_in_graph"].double()
    return float(torch.einsum("uv,ud->", edges, neurons)) / content["cfg"]["d_model"]


def test_the_models_have_the_benchmarks_edge_counts():
    counts = {model: graph.n_edges for model, graph in leaderboard.GRAPHS.items()}
    assert counts == {"gpt2": 32_491, "qwen2.5": 179_749, "gemma2": 74_218, "llama3": 1_592_881}


def test_there_are_the_benchmarks_twelve_pairs_of_task_and_model():
    pairs = {f"{task}_{model}" for task, models in leaderboard.TASKS.items() for model in models}
    assert (
        len(pairs) == 12 and {"ioi_gpt2", "mcqa_qwen2.5", "arc-easy_gemma2", "arc-challenge_llama3"} <= pairs
    )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("suffix", "read"), [(".json", read_eap_json), (".pt", read_eap_pt)])
def test_importances_are_one_file_a_task_and_model(small_gpt2, tmp_path, level, suffix, read):
    scores = scores_of(SMALL, level)
    path = leaderboard.write_mib_importances(scores, tmp_path, "ioi", "gpt2", suffix)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*") if p.is_file()] == [
        f"ioi_gpt2/importances{suffix}"
    ]
    again, circuit = read(path)
    expected = scores.values.masked_fill(~SMALL.mask, 0) if level == "edge" else scores.values
    assert torch.equal(again.values, expected) and again.level == level
    assert circuit.n_edges == 0
    # the leaderboard selects neurons in place: the file must have their flags
    assert (circuit.neurons is not None) == (level == "neuron")


@pytest.mark.parametrize(("metric", "sign"), [("nll", 1), ("kl", 1), ("logit_diff", -1), ("accuracy", -1)])
def test_importances_are_signed_as_those_of_a_loss(small_gpt2, tmp_path, metric, sign):
    """Ablating an edge that the model needs raises a loss and lowers a logit difference."""
    scores = scores_of(SMALL, "node", metric)
    path = leaderboard.write_mib_importances(scores, tmp_path, "ioi", "gpt2")
    assert torch.equal(read_eap_pt(path)[0].values, sign * scores.values)
    as_loss = replace(scores, values=sign * scores.values, metric="nll")
    for found, expected in zip(
        leaderboard.mib_circuits(scores, absolute=False),
        leaderboard.mib_circuits(as_loss, absolute=False),
        strict=True,
    ):
        assert torch.equal(found.mask, expected.mask)


def test_task_names_may_be_spelled_as_in_the_benchmarks_code(monkeypatch, tmp_path):
    monkeypatch.setitem(leaderboard.GRAPHS, "gemma2", SMALL)
    path = leaderboard.write_mib_importances(scores_of(SMALL), tmp_path, "arc_easy", "gemma2")
    assert path == tmp_path / "arc-easy_gemma2" / "importances.pt"


@pytest.mark.parametrize("level", LEVELS)
def test_nine_circuits_fit_the_benchmarks_sizes(small_gpt2, tmp_path, level):
    circuits = leaderboard.mib_circuits(scores_of(SMALL, level))
    place = leaderboard.write_mib_circuits(circuits[::-1], tmp_path, "ioi", "gpt2")
    counts = sorted(published_edge_count(torch.load(path, weights_only=True)) for path in place.iterdir())
    assert len(counts) == 9
    for count, fraction in zip(counts, (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5), strict=True):
        assert count <= fraction * SMALL.n_edges
    assert counts[-1] > 0.1 * SMALL.n_edges  # the largest that fits, not just any


@pytest.mark.parametrize("level", ["node", "neuron"])
def test_one_more_node_or_neuron_would_not_fit(level):
    scores = scores_of(SMALL, level)
    limit = 0.5 * SMALL.n_edges
    circuit = leaderboard.largest_circuit(scores, limit, absolute=True)
    larger = selection.top_n(scores, circuit.requested + 1)
    assert leaderboard.weighted_edges(circuit) <= limit < leaderboard.weighted_edges(larger)


def test_circuits_of_gpt2_are_files_without_scores(tmp_path):
    scores = scores_of(GPT2)
    circuits = leaderboard.mib_circuits(scores)
    sizes = [circuit.requested for circuit in circuits]
    assert sizes == [math.floor(32_491 * f) for f in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)]
    leaderboard.write_mib_circuits(circuits, tmp_path / "json", "ioi", "gpt2", ".json")
    leaderboard.write_mib_circuits(circuits, tmp_path / "pt", "ioi", "gpt2")
    for circuit, fraction in zip(circuits, leaderboard.FRACTIONS, strict=True):
        binary = torch.load(tmp_path / "pt" / "ioi_gpt2" / f"{fraction}_edges.pt", weights_only=True)
        assert set(binary) == {"cfg", "src_nodes", "dst_nodes", "edges_in_graph", "nodes_in_graph"}
        assert torch.equal(binary["edges_in_graph"], circuit.mask)
        content = json.loads((tmp_path / "json" / "ioi_gpt2" / f"{fraction}_edges.json").read_text())
        kept = [name for name, edge in content["edges"].items() if edge == {"in_graph": True}]
        assert sorted(kept) == sorted(GPT2.edge_name(u, v) for u, v in circuit.mask.nonzero().tolist())
        assert content["nodes"]["input"] == {"in_graph": bool(circuit.nodes[0])}
        assert len(content["edges"]) == GPT2.n_edges


@pytest.mark.parametrize(
    ("task", "model", "suffix", "message"),
    [
        (
            "greater-than",
            "gpt2",
            ".pt",
            "task 'greater-than' is not one of the leaderboard's: ioi, mcqa, arith",
        ),
        (
            "mcqa",
            "gpt2",
            ".pt",
            "model 'gpt2' is not one of the leaderboard's for mcqa: qwen2.5, gemma2, llama3",
        ),
        ("ioi", "gpt2-xl", ".pt", "model 'gpt2-xl' is not one of the leaderboard's for ioi: gpt2, qwen2.5"),
        ("ioi", "llama3", ".pt", r"the leaderboard's llama3 is Graph\(n_layers=32"),
        ("ioi", "gpt2", ".bin", r"ioi_gpt2: suffix '.bin' is not one of .json, .pt"),
    ],
)
def test_what_the_leaderboard_does_not_know_is_named(small_gpt2, tmp_path, task, model, suffix, message):
    scores = scores_of(SMALL)
    circuits = leaderboard.mib_circuits(scores)
    for write in (
        lambda: leaderboard.write_mib_importances(scores, tmp_path, task, model, suffix),
        lambda: leaderboard.write_mib_circuits(circuits, tmp_path, task, model, suffix),
    ):
        with pytest.raises(InputError, match=message):
            write()
    assert not list(tmp_path.iterdir())


def test_other_numbers_and_sizes_of_circuits_are_refused(small_gpt2, tmp_path):
    circuits = leaderboard.mib_circuits(scores_of(SMALL))
    with pytest.raises(InputError, match="8 circuits of ioi gpt2: the leaderboard takes 9"):
        leaderboard.write_mib_circuits(circuits[1:], tmp_path, "ioi", "gpt2")
    too_large = [*circuits[:8], selection.whole(SMALL)]
    limit = SMALL.n_edges / 2
    with pytest.raises(InputError, match=f"a circuit of {SMALL.n_edges} edges, where 50.0% are {limit:g}"):
        leaderboard.write_mib_circuits(too_large, tmp_path, "ioi", "gpt2")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_either_importances_or_circuits(small_gpt2, tmp_path):
    scores = scores_of(SMALL)
    circuits = leaderboard.mib_circuits(scores)
    (tmp_path / "ioi_gpt2").mkdir()
    (tmp_path / "ioi_gpt2" / "README.md").write_text("kept")
    for _ in range(2):  # again over itself
        path = leaderboard.write_mib_importances(scores, tmp_path, "ioi", "gpt2")
    with pytest.raises(InputError, match=r"ioi_gpt2: importances.pt is there"):
        leaderboard.write_mib_circuits(circuits, tmp_path, "ioi", "gpt2")
    path.unlink()
    leaderboard.write_mib_circuits(circuits, tmp_path, "ioi", "gpt2")
    with pytest.raises(InputError, match=r"ioi_gpt2: 0.001_edges.pt is there"):
        leaderboard.write_mib_importances(scores, tmp_path, "ioi", "gpt2")
    assert len(list((tmp_path / "ioi_gpt2").iterdir())) == 10


def test_scores_that_are_not_finite_are_not_written(small_gpt2, tmp_path):
    scores = scores_of(SMALL, "node")
    scores.values[3] = torch.nan
    with pytest.raises(InputError, match=r"ioi_gpt2/importances.pt: the score of node 'a0.h2' is nan"):
        leaderboard.write_mib_importances(scores, tmp_path, "ioi", "gpt2")
    assert not list(tmp_path.iterdir())


def test_weighted_edges_count_a_part_of_a_nodes_neurons():
    mask = torch.zeros_like(SMALL.mask)
    mask[0, :4] = True
    neurons = torch.zeros(SMALL.n_sources, SMALL.d_model, dtype=torch.bool)
    neurons[0, :2] = True  # two of eight
    assert leaderboard.weighted_edges(Circuit(mask, SMALL, 4)) == 4
    assert leaderboard.weighted_edges(Circuit(mask, SMALL, 2, "neuron", neurons)) == 1
