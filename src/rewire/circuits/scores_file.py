"""Our own file of scores, with a circuit or without: safetensors, with what they are as metadata."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rewire.circuits.published import check_finite, check_scores, describe, graph_of, shapes
from rewire.circuits.selection import LEVELS, Circuit, Scores
from rewire.errors import InputError
from rewire.whole_file import write_whole

TYPES = {"scores": "F32", "in_graph": "U8", "neurons": "U8", "examples": "F32"}


def write_scores(scores: Scores, circuit: Circuit | None, path: str | Path) -> None:
    """Everything that ``scores`` and, if there is one, ``circuit`` hold, exactly.

    Tensors: ``scores`` float32 and of a circuit ``in_graph`` uint8 [sources, destinations]; where there are any,
    ``neurons`` uint8 [sources, D] and ``examples`` float32. Errors: InputError that names the file, as
    ``write_eap_json``.
    """
    check_scores(path, circuit, scores)
    metadata = describe(scores.graph) | {
        "method": scores.method,
        "metric": scores.metric,
        "completeness_gap": scores.completeness_gap,
        "level": scores.level,
    }
    tensors = {"scores": scores.values.detach().float()}
    if circuit is not None:
        metadata |= {"requested": circuit.requested, "circuit_level": circuit.level}
        tensors["in_graph"] = circuit.mask.to(torch.uint8)
        if circuit.neurons is not None:
            tensors["neurons"] = circuit.neurons.to(torch.uint8)
    if scores.examples is not None:
        tensors["examples"] = scores.examples.detach().float()
    dense = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    # one metadata entry: safetensors writes several in no fixed order
    write_whole(path, [save(dense, metadata={"rewire": json.dumps(metadata, sort_keys=True)})])


def read_scores(path: str | Path) -> tuple[Scores, Circuit | None]:
    """What ``write_scores`` wrote; None for the circuit that a file does not have.

    Errors: InputError that names the file and the key or tensor: not such a file, missing keys, wrong types and sizes,
    scores that are not finite.
    """
    tensors, described = opened(path)
    graph = graph_of(path, described, "metadata")
    check_described(path, described)
    level, circuit_level = described["level"], described.get("circuit_level")
    sizes = shapes(graph)
    needed = {"scores": sizes[level]}
    if circuit_level is not None:
        needed["in_graph"] = sizes["edge"]
    if circuit_level == "neuron":
        needed["neurons"] = sizes["neuron"]
    for name, shape in needed.items():
        check_tensor(path, name, tensors.get(name), shape)
    if "examples" in tensors:
        units = (graph.n_edges,) if level == "edge" else sizes[level]
        check_tensor(path, "examples", tensors["examples"], (*tensors["examples"].shape[:1], *units))
    check_finite(path, graph, level, tensors["scores"])
    method, metric, gap = (described[key] for key in ("method", "metric", "completeness_gap"))
    scores = Scores(tensors["scores"], graph, method, metric, gap, tensors.get("examples"), level)
    if circuit_level is None:
        return scores, None
    neurons = tensors["neurons"].bool() if circuit_level == "neuron" else None
    mask = tensors["in_graph"].bool()
    return scores, Circuit(mask, graph, described["requested"], circuit_level, neurons)


def read_scored_circuit(path: str | Path) -> tuple[Scores, Circuit]:
    """``read_scores`` of a file that holds a circuit. Errors: InputError that names the file also if it holds none."""
    scores, circuit = read_scores(path)
    if circuit is None:
        raise InputError(f"{path}: scores without a circuit")
    return scores, circuit


def opened(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file, neither checked beyond the tensors' types."""
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder, not a scores file")
    try:
        with safe_open(str(path), framework="pt") as file:
            described = json.loads((file.metadata() or {})["rewire"])
            kept = [name for name in file.keys() if name in TYPES]  # noqa: SIM118 - not a mapping
            types = {name: file.get_slice(name).get_dtype() for name in kept}
            tensors = {name: file.get_tensor(name) for name in kept if types[name] == TYPES[name]}
    except KeyError as error:
        raise InputError(f"{path}: not a scores file, it has no metadata {error}") from error
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]  # it may quote the whole header
        raise InputError(f"{path}: not a scores file: {reason}") from error
    for name, found in types.items():
        if found != TYPES[name]:
            raise InputError(f"{path}: {name} is {found}, not {TYPES[name]}")
    return tensors, described


def check_described(path: str | Path, described: dict[str, Any]) -> None:
    """InputError that names the first key that is missing or has a value that it cannot have."""
    fits: dict[str, Callable[[Any], bool]] = {
        "method": lambda value: isinstance(value, str),
        "metric": lambda value: isinstance(value, str),
        "completeness_gap": lambda value: value is None or type(value) in (int, float),
        "level": LEVELS.__contains__,
    }
    of_circuit: dict[str, Callable[[Any], bool]] = {
        "requested": lambda value: type(value) is int and value >= 0,
        "circuit_level": LEVELS.__contains__,
    }
    if of_circuit.keys() & described.keys():
        fits |= of_circuit
    for key, fit in fits.items():
        if key not in described:
            raise InputError(f"{path}: its metadata has no key {key!r}")
        if not fit(described[key]):
            raise InputError(f"{path}: its metadata has {key} {reprlib.repr(described[key])}")


def check_tensor(path: str | Path, name: str, tensor: Tensor | None, shape: tuple[int, ...]) -> None:
    """InputError that names a tensor that is missing, of another size or, of flags, neither 0 nor 1."""
    if tensor is None:
        raise InputError(f"{path}: the tensor {name!r} is missing")
    if tuple(tensor.shape) != shape:
        raise InputError(f"{path}: {name} is {list(tensor.shape)}, the graph needs {list(shape)}")
    if TYPES[name] == "U8" and (tensor > 1).any():
        raise InputError(f"{path}: {name} has a flag {int(tensor.max())}, neither 0 nor 1")
