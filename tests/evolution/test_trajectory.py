import pytest
import torch
from circuits.score_worlds import GRAPH, SIZE
from evolution.conftest import SETTINGS, STEPS, save_scores

from rewire.circuits.graph import Graph
from rewire.circuits.interchange import write_scores
from rewire.circuits.selection import Scores, top_n
from rewire.errors import InputError
from rewire.evolution.trajectory import read_trajectory


def test_all_circuits_have_the_size_that_the_fraction_asks_for(files):
    read = read_trajectory(files(), STEPS, SETTINGS)
    assert read.size == SIZE and read.n == 24 and read.can_resample
    assert all(SIZE <= int(circuit.edges.sum()) <= 1.1 * SIZE for circuit in read.circuits.values())
    tiny = read_trajectory(files(), STEPS, SETTINGS | {"fraction": 1e-9})
    assert tiny.size == 1
    assert list(tiny.pairs()) == [("base", "step-000010"), ("step-000010", "final"), ("base", "final")]


def test_a_file_without_examples_counts_as_one(files, measured):
    read = read_trajectory(files(keep=False), STEPS, SETTINGS)
    assert read.n == 1 and not read.can_resample
    assert torch.allclose(read.scores["final"][0], measured["final"].mean(dim=0))


def test_checkpoints_of_different_models_or_data_are_refused(tmp_path, files, measured):
    paths = files()
    other = Graph(3, 8, 16)
    save_scores(tmp_path / "final.safetensors", measured["final"], other)
    with pytest.raises(InputError, match="checkpoints base, step-000010, final: their graphs differ"):
        read_trajectory(paths, STEPS, SETTINGS)
    save_scores(tmp_path / "final.safetensors", measured["final"][:10])
    with pytest.raises(InputError, match="base, step-000010, final: their numbers of examples differ"):
        read_trajectory(paths, STEPS, SETTINGS)


def test_scores_that_are_not_of_edges_or_not_finite_are_named(tmp_path, files, measured):
    paths = files()
    broken = measured["final"].clone()
    broken[3, 7] = torch.inf
    mean = torch.zeros(GRAPH.mask.shape)
    scores = Scores(mean, GRAPH, "EAP", "nll", 0.1, examples=broken)
    write_scores(scores, top_n(scores, 5), paths["final"])
    with pytest.raises(InputError, match=r"final\.safetensors: example 3: a score is not finite"):
        read_trajectory(paths, STEPS, SETTINGS)
    nodes = Scores(torch.zeros(GRAPH.n_sources), GRAPH, "EAP", "nll", 0.1, level="node")
    write_scores(nodes, top_n(nodes, 5), paths["final"])
    with pytest.raises(InputError, match=r"final\.safetensors: scores of level 'node'"):
        read_trajectory(paths, STEPS, SETTINGS)
