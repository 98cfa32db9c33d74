"""What the published EAP-IG library keeps of a graph in its files, as tensors; its scores and its circuit.

Layout: https://github.com/hannamw/EAP-IG, src/eap/graph.py (``Graph.to_json``, ``Graph.to_pt`` and their readers) at
commit 8fd10d913f3991de824d7b4668b6918743a1f453.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.circuits.selection import LEVELS, Circuit, Scores
from rewire.errors import InputError

SIZES = ("n_layers", "n_heads", "d_model")
PARALLEL = "parallel_attn_mlp"


@dataclass(frozen=True)
class PublishedGraph:
    """The tensors of a file, named as there, in the order of ``graph.sources`` and ``graph.destinations``.

    ``edges_in_graph``: bool [sources, destinations]; ``nodes_in_graph``: bool [sources]; ``neurons_in_graph``: bool
    [sources, D]; ``edges_scores``, ``nodes_scores``, ``neurons_scores``: float32, of the same shapes. None: not in
    the file.
    """

    graph: Graph
    edges_in_graph: Tensor
    nodes_in_graph: Tensor
    neurons_in_graph: Tensor | None = None
    edges_scores: Tensor | None = None
    nodes_scores: Tensor | None = None
    neurons_scores: Tensor | None = None


def to_published(path: str | Path, circuit: Circuit, scores: Scores | None) -> PublishedGraph:
    """``circuit`` and all ``scores`` as the library keeps them: scores of nodes or neurons leave those of edges 0.

    Where neurons have scores but none was chosen, all neurons of the circuit's nodes are in it.
    Errors: InputError that names the file, as ``check_scores``.
    """
    graph, nodes, neurons = circuit.graph, circuit.nodes, circuit.neurons
    if scores is None:
        return PublishedGraph(graph, circuit.mask, nodes, neurons)
    check_scores(path, circuit, scores)
    if scores.level == "neuron" and neurons is None:
        neurons = nodes[:, None].expand(graph.n_sources, graph.d_model)
    values = {"edges_scores": torch.zeros(graph.mask.shape)}
    values[f"{scores.level}s_scores"] = scores.values.detach().cpu().float()
    values["edges_scores"] = values["edges_scores"].masked_fill(~graph.mask, 0)
    return PublishedGraph(graph, circuit.mask, nodes, neurons, **values)


def from_published(path: str | Path, published: PublishedGraph, level: str | None) -> tuple[Scores, Circuit]:
    """The scores of ``level`` (None: the finest that the file has) and the circuit of the edges flagged in_graph.

    The edges decide: a node's flag is not held against its edges, as the library's own evaluation recomputes the
    nodes from the edges. Edges that do not exist are left out. What a file does not say is ``unknown``.
    Errors: InputError that names the file for scores that are missing or not finite.
    """
    graph, mask = published.graph, published.edges_in_graph & published.graph.mask
    found = {name: getattr(published, f"{name}s_scores") for name in LEVELS}
    for name, values in found.items():
        if values is not None:
            check_finite(path, graph, name, values)
    level = level or next(name for name in reversed(LEVELS) if found[name] is not None)
    if found.get(level) is None:
        has = ", ".join(name for name, values in found.items() if values is not None)
        raise InputError(f"{path}: no scores of level {level!r}, only of {has}")
    values = found[level].masked_fill(~graph.mask, 0) if level == "edge" else found[level]
    scores = Scores(values, graph, "unknown", "unknown", level=level)
    if published.neurons_in_graph is not None:
        circuit = Circuit(mask, graph, 0, "neuron", published.neurons_in_graph)
    else:
        circuit = Circuit(mask, graph, 0, "edge" if level == "edge" else "node")
    return scores, Circuit(mask, graph, circuit.remaining, circuit.level, circuit.neurons)


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The shape of what a file has for each edge, node or neuron."""
    n = graph.n_sources
    return {"edge": (n, graph.n_destinations), "node": (n,), "neuron": (n, graph.d_model)}


def check_scores(path: str | Path, circuit: Circuit | None, scores: Scores) -> None:
    """InputError that names the file unless ``scores`` are of the circuit's graph, of their level's shape and finite."""
    if circuit is not None and scores.graph != circuit.graph:
        raise InputError(f"{path}: the scores are of {scores.graph}, the circuit is of {circuit.graph}")
    found, needed = tuple(scores.values.shape), shapes(scores.graph)[scores.level]
    if found != needed:
        raise InputError(f"{path}: scores of level {scores.level} are {list(found)}, not {list(needed)}")
    check_finite(path, scores.graph, scores.level, scores.values)


def check_finite(path: str | Path, graph: Graph, level: str, values: Tensor) -> None:
    """InputError that names the first edge, node or neuron without a finite score: NaN is the library's "no score"."""
    bad = ~torch.isfinite(values)
    if level == "edge":
        bad &= graph.mask
    if bad.any():
        at = bad.nonzero()[0].tolist()
        found = float(values[tuple(at)])
        raise InputError(f"{path}: the score of {unit_name(graph, level, at)} is {found}, no finite float32")


def unit_name(graph: Graph, level: str, at: list[int]) -> str:
    """What a message calls the edge, node or neuron at the index ``at``."""
    if level == "edge":
        return f"edge {graph.edge_name(*at)!r}"
    node = f"node {graph.sources[at[0]]!r}"
    return node if level == "node" else f"neuron {at[1]} of {node}"


def describe(graph: Graph) -> dict[str, int | bool]:
    """A graph as the library's ``cfg``."""
    return {
        "n_layers": graph.n_layers,
        "n_heads": graph.n_heads,
        PARALLEL: graph.parallel,
        "d_model": graph.d_model,
    }


def graph_of(path: str | Path, described: Any, where: str = "cfg") -> Graph:
    """The graph that a ``cfg`` describes; it may be far too large to allocate: hold its sizes against the file first.

    Errors: InputError that names the file and the key of ``where`` that is missing, no size or no flag.
    """
    if not isinstance(described, dict):
        raise InputError(f"{path}: {where} is {reprlib.repr(described)}, not a mapping")
    for key in (*SIZES, PARALLEL):
        if key not in described:
            raise InputError(f"{path}: {where} has no key {key!r}")
    sizes = [described[key] for key in SIZES]
    for key, size in zip(SIZES, sizes, strict=True):
        if type(size) is not int or size < 1:
            raise InputError(f"{path}: {where}.{key} is {reprlib.repr(size)}, not a whole number from 1")
    if type(described[PARALLEL]) is not bool:
        raise InputError(
            f"{path}: {where}.{PARALLEL} is {reprlib.repr(described[PARALLEL])}, not true or false"
        )
    n_layers, n_heads, d_model = sizes
    return Graph(n_layers, n_heads, d_model, described[PARALLEL])
