"""The circuit of a checkpoint, from its scores' file to its own."""

import pytest
import torch
from circuits.random_scores import GRAPHS, random_scores

from rewire.circuit_choice import select_circuit
from rewire.circuits import interchange, selection
from rewire.errors import InputError


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_the_best_edges_are_selected(tmp_path, fraction):
    scores = random_scores(GRAPHS[1], "edge")
    interchange.write_scores(scores, None, tmp_path / "scores.safetensors")
    select_circuit(tmp_path / "scores.safetensors", fraction, tmp_path / "circuit.json")
    expected = selection.top_n(scores, round(fraction * GRAPHS[1].n_edges))
    read, circuit = interchange.read_eap_json(tmp_path / "circuit.json")
    assert torch.equal(circuit.mask, expected.mask) and torch.equal(read.values, scores.values)


def test_a_broken_scores_file_is_named_and_nothing_is_written(tmp_path):
    (tmp_path / "scores.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="scores.safetensors: not a scores file"):
        select_circuit(tmp_path / "scores.safetensors", 0.1, tmp_path / "circuit.json")
    assert not (tmp_path / "circuit.json").exists()
