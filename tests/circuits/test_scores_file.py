"""Our own file of scores: broken ones say where."""

import json

import pytest
import torch
from circuits.random_scores import GRAPHS, random_circuit, random_scores
from safetensors import safe_open
from safetensors.torch import save_file

from rewire.circuits.scores_file import read_scores, write_scores
from rewire.errors import InputError


@pytest.mark.parametrize(
    ("level", "key", "value", "message"),
    [
        ("edge", "n_layers", 10**12, r"scores is \[7, 15\], the graph needs \[3000000000001, "),
        ("edge", "n_heads", -1, "metadata.n_heads is -1, not a whole number from 1"),
        ("edge", "d_model", None, "metadata.d_model is None"),
        ("edge", "method", 3, "its metadata has method 3"),
        ("edge", "completeness_gap", "no", "its metadata has completeness_gap 'no'"),
        ("edge", "level", "layer", "its metadata has level 'layer'"),
        ("edge", "level", "neuron", r"scores is \[7, 15\], the graph needs \[7, 3\]"),
        ("edge", "requested", -1, "its metadata has requested -1"),
        ("edge", "circuit_level", "neuron", "the tensor 'neurons' is missing"),
        ("edge", "scores", torch.zeros(7, 14), r"scores is \[7, 14\], the graph needs \[7, 15\]"),
        ("edge", "scores", torch.zeros(7, 15).half(), "scores is F16, not F32"),
        ("edge", "scores", torch.full((7, 15), torch.nan), "the score of edge 'input->a0.h0<q>' is nan"),
        (
            "edge",
            "in_graph",
            torch.full((7, 15), 7, dtype=torch.uint8),
            "in_graph has a flag 7, neither 0 nor 1",
        ),
        ("edge", "examples", torch.zeros(2, 33), r"examples is \[2, 33\], the graph needs \[2, 46\]"),
        ("node", "scores", torch.full((7,), -torch.inf), "the score of node 'input' is -inf"),
        ("neuron", "scores", torch.full((7, 3), torch.inf), "the score of neuron 0 of node 'input' is inf"),
        (
            "neuron",
            "neurons",
            torch.zeros(7, 2, dtype=torch.uint8),
            r"neurons is \[7, 2\], the graph needs \[7, 3\]",
        ),
    ],
)
def test_broken_files_say_where(tmp_path, level, key, value, message):
    path = tmp_path / "scores.safetensors"
    scores = random_scores(GRAPHS[0], level)
    write_scores(scores, random_circuit(scores), path)
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["rewire"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    (tensors if isinstance(value, torch.Tensor) else described)[key] = value
    save_file(tensors, path, metadata={"rewire": json.dumps(described)})
    with pytest.raises(InputError, match=rf"scores\.safetensors: .*{message}"):
        read_scores(path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not a scores file, it has no metadata 'rewire'"),
        ({"rewire": "{"}, "not a scores file: Expecting"),
        ({"rewire": "[]"}, r"metadata is \[\], not a mapping"),
        ({"rewire": "{}"}, "metadata has no key 'n_layers'"),
    ],
)
def test_other_safetensors_are_named(tmp_path, metadata, message):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    with pytest.raises(InputError, match=rf"model\.safetensors: {message}"):
        read_scores(path)
