"""The binary file of the published EAP-IG library (``Graph.to_pt``, ``Graph.from_pt``): a torch pickle of tensors."""

from __future__ import annotations

import io
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits.published import (
    PublishedGraph,
    describe,
    from_published,
    graph_of,
    shapes,
    to_published,
)
from rewire.circuits.selection import LEVELS, Circuit, Scores
from rewire.errors import InputError
from rewire.whole_file import write_whole

FLAGS = ("edges_in_graph", "nodes_in_graph", "neurons_in_graph")
SCORES = ("edges_scores", "nodes_scores", "neurons_scores")
OPTIONAL = ("nodes_scores", "neurons_in_graph", "neurons_scores")


def write_eap_pt(circuit: Circuit, scores: Scores, path: str | Path) -> None:
    """The circuit and all scores as the published EAP-IG library writes them in binary.

    Errors: InputError that names the file: scores of another graph or not finite, a place that cannot be written.
    """
    write_whole(path, packed(to_published(path, circuit, scores)))


def read_eap_pt(path: str | Path, level: str | None = None) -> tuple[Scores, Circuit]:
    """A binary file of the published EAP-IG library, as ``read_eap_json``; only tensors and plain values are loaded.

    Errors: InputError that names the file and the key: not such a file, code in it, missing keys, wrong types and
    sizes, other names than the graph's, scores that are not finite.
    """
    content = unpickled(path)
    for key in ("cfg", "src_nodes", "dst_nodes", *FLAGS, *SCORES):
        if key not in content and key not in OPTIONAL:
            raise InputError(f"{path}: not a circuit file, the key {key!r} is missing")
    graph = graph_of(path, content["cfg"])
    sizes = dict(zip((f"{name}s" for name in LEVELS), shapes(graph).values(), strict=True))
    tensors = {
        key: checked_tensor(path, key, content[key], sizes[key.split("_")[0]])
        for key in (*FLAGS, *SCORES)
        if key in content
    }
    check_names(path, "src_nodes", content["src_nodes"], graph.sources)
    check_names(path, "dst_nodes", content["dst_nodes"], graph.destinations)
    return from_published(path, PublishedGraph(graph, **tensors), level)


def packed(published: PublishedGraph) -> Iterator[bytes]:
    """The bytes of a file: the same for the same content, whatever its name."""
    graph = published.graph
    content = {"cfg": describe(graph), "src_nodes": graph.sources, "dst_nodes": graph.destinations}
    tensors = {key: getattr(published, key) for key in (*FLAGS, *SCORES)}
    kept = {key: tensor.contiguous() for key, tensor in tensors.items() if tensor is not None}
    buffer = io.BytesIO()
    torch.save(content | kept, buffer)
    yield buffer.getvalue()


def unpickled(path: str | Path) -> dict[str, Any]:
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # bytes at random make an unpickler raise anything
        kind = type(error).__name__  # torch's own message tells to load the code in it
        raise InputError(f"{path}: not a circuit file of tensors and plain values alone ({kind})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a circuit file: it holds a {type(content).__name__}")
    return content


def checked_tensor(path: str | Path, key: str, tensor: Any, shape: tuple[int, ...]) -> Tensor:
    """``tensor`` as bool or float32, if it is one of ``shape`` with all its values in the file."""
    if not isinstance(tensor, Tensor) or tensor.is_nested or tensor.layout != torch.strided:
        raise InputError(f"{path}: {key} is a {type(tensor).__name__}, not a dense tensor")
    if tuple(tensor.shape) != shape:
        raise InputError(f"{path}: {key} is {list(tensor.shape)}, the graph needs {list(shape)}")
    # a stride of 0 or no storage at all: a size that the file does not hold
    if tensor.device.type != "cpu" or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise InputError(f"{path}: {key} has fewer values in the file than its size says")
    fits = tensor.dtype == torch.bool if key in FLAGS else tensor.dtype.is_floating_point
    if not fits:
        raise InputError(f"{path}: {key} is {tensor.dtype}")
    return tensor if key in FLAGS else tensor.float()


def check_names(path: str | Path, key: str, found: Any, needed: list[str]) -> None:
    """InputError that names the first of ``found`` that is not the graph's."""
    if not isinstance(found, list) or len(found) != len(needed):
        raise InputError(f"{path}: {key} is {reprlib.repr(found)}, the graph needs {len(needed)} names")
    for i, (name, expected) in enumerate(zip(found, needed, strict=True)):
        if name != expected:
            raise InputError(f"{path}: {key}[{i}] is {reprlib.repr(name)}, the graph needs {expected!r}")
