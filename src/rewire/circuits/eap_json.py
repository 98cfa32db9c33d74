"""The JSON of the published EAP-IG library (``Graph.to_json``, ``Graph.from_json``): cfg, nodes, edges, by name."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits.edge_text import SEPARATOR, edge_text, scan_edges
from rewire.circuits.graph import Graph
from rewire.circuits.node_text import described_nodes, read_nodes
from rewire.circuits.published import PublishedGraph, describe, from_published, graph_of, to_published
from rewire.circuits.selection import Circuit, Scores
from rewire.errors import InputError
from rewire.whole_file import write_whole

EDGES, CLOSING = b'"edges": {', b"}}"


def write_eap_json(circuit: Circuit, scores: Scores, path: str | Path) -> None:
    """The circuit and all scores as the published EAP-IG library writes them, every number exact.

    Scores of nodes stand at the nodes (``score``), those of neurons too (``neurons``, ``neurons_scores``). The library
    reads at a head the neurons of all heads of its layer, so each head has them all: for the neurons of a large model
    take ``write_eap_pt``.
    Errors: InputError that names the file: scores of another graph or not finite, a place that cannot be written.
    """
    write_whole(path, document(to_published(path, circuit, scores)))


def read_eap_json(path: str | Path, level: str | None = None) -> tuple[Scores, Circuit]:
    """A file of the published EAP-IG library: the scores, and the circuit of the edges flagged in_graph.

    ``level``: edge, node or neuron, by default the finest that the file has scores of. The edges decide what is in the
    circuit: a node may be flagged out that an edge of it starts from or leads to, as in the library's files of
    unpruned circuits. Method and metric are ``unknown``; requested is what is there.
    Errors: InputError that names the file and the key, node or edge: no JSON, a key twice or missing, a node or edge
    that the graph does not have or that is missing, wrong types and sizes, scores that are not finite.
    """
    try:
        text = Path(path).read_bytes()
        published = read_in_bulk(path, text) or read_one_by_one(path, parse(text))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file: {error}") from error
    return from_published(path, published, level)


def document(published: PublishedGraph) -> Iterator[bytes]:
    """The text of a file, in pieces."""
    outline = {"cfg": describe(published.graph), "nodes": dict(described_nodes(published))}
    separator = f"{json.dumps(outline)[:-1]}, ".encode() + EDGES
    for edges in edge_text(published.graph, published.edges_scores, published.edges_in_graph):
        yield separator
        yield edges
        separator = SEPARATOR
    yield CLOSING


def read_in_bulk(path: str | Path, text: bytes) -> PublishedGraph | None:
    """The content of a file whose edges, in any order, are spelled as the library does; None for all others, broken ones
    too.
    """
    start = text.find(EDGES) + len(EDGES)
    if start < len(EDGES) or not text.endswith(CLOSING):
        return None
    try:
        content = parse(text[:start] + CLOSING)
    except (ValueError, RecursionError):
        return None
    if not {"cfg", "nodes"} <= content.keys():
        return None
    graph, fields = read_outline(path, content)
    scanned = scan_edges(text, start, len(text) - len(CLOSING), graph)
    if scanned is None:
        return None
    return PublishedGraph(graph, edges_scores=scanned[0], edges_in_graph=scanned[1], **fields)


def read_one_by_one(path: str | Path, content: Any) -> PublishedGraph:
    """The content of any JSON, with an error that says what is wrong where."""
    graph, fields = read_outline(path, content)
    edges = content["edges"]
    check_size(path, "edges", graph.n_edges, edges)
    source = {name: i for i, name in enumerate(graph.sources)}
    destination = {name: i for i, name in enumerate(graph.destinations)}
    readable = graph.readable.tolist()
    at, scores, flags = [], [], []
    for name, edge in edges.items():
        u, _, v = name.partition("->")
        if source.get(u, graph.n_sources) >= readable[destination.get(v, 0)] or v not in destination:
            raise InputError(f"{path}: the graph has no edge {reprlib.repr(name)}")
        check_edge(path, name, edge)
        at.append(source[u] * graph.n_destinations + destination[v])
        scores.append(edge["score"])
        flags.append(edge["in_graph"])
    missing = graph.mask.flatten().clone()
    missing[at] = False
    if missing.any():
        u, v = divmod(int(missing.nonzero()[0]), graph.n_destinations)
        raise InputError(f"{path}: edge {graph.edge_name(u, v)!r} is missing")
    edges_scores, edges_in_graph = torch.zeros(graph.mask.shape), torch.zeros_like(graph.mask)
    edges_scores.view(-1)[at] = torch.tensor(scores, dtype=torch.float32)
    edges_in_graph.view(-1)[at] = torch.tensor(flags)
    return PublishedGraph(graph, edges_scores=edges_scores, edges_in_graph=edges_in_graph, **fields)


def check_edge(path: str | Path, name: str, edge: Any) -> None:
    """InputError that names the edge unless it has a number for its score and true or false for in_graph."""
    if not isinstance(edge, dict) or not {"score", "in_graph"} <= edge.keys():
        raise InputError(f"{path}: edge {name!r} needs the keys score and in_graph")
    for key, types, needed in (("score", (int, float), "a number"), ("in_graph", (bool,), "true or false")):
        if type(edge[key]) not in types:
            raise InputError(f"{path}: {key} of edge {name!r} is {reprlib.repr(edge[key])}, not {needed}")


def read_outline(path: str | Path, content: Any) -> tuple[Graph, dict[str, Tensor]]:
    """The graph, and the fields of ``PublishedGraph`` that stand at its nodes."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a circuit file: {reprlib.repr(content)} is not a mapping")
    for key in ("cfg", "nodes", "edges"):
        if key not in content:
            raise InputError(f"{path}: not a circuit file, the key {key!r} is missing")
        if not isinstance(content[key], dict):
            raise InputError(f"{path}: {key} is {reprlib.repr(content[key])}, not a mapping of names")
    graph, nodes = graph_of(path, content["cfg"]), content["nodes"]
    check_size(path, "sources", graph.n_sources, nodes)
    known = {*graph.sources, "logits"}
    for name in nodes:
        if name not in known:
            raise InputError(f"{path}: the graph has no node {reprlib.repr(name)}")
    for name in graph.sources:
        if name not in nodes:
            raise InputError(f"{path}: node {name!r} is missing")
    return graph, read_nodes(path, graph, nodes)


def check_size(path: str | Path, what: str, needed: int, found: Collection[str]) -> None:
    """InputError where a cfg is of another order than its file: nothing of such a size is allocated."""
    if needed > 2 * len(found):
        raise InputError(f"{path}: its cfg has {needed} {what}, the file {len(found)}")


def parse(text: bytes) -> Any:
    """Strict JSON in UTF-8. Errors: ValueError, for a key that stands twice too; RecursionError."""
    return json.loads(text.decode(), object_pairs_hook=without_doubles, parse_int=whole_number)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in content if names.count(name) > 1)
        raise ValueError(f"the key {reprlib.repr(twice)} stands twice in one mapping")
    return content


def whole_number(digits: str) -> int | float:
    """Scores may be spelled as whole numbers: -0 keeps its sign, and what no float64 holds exactly is no size."""
    return float(digits) if digits == "-0" or len(digits) > 15 else int(digits)
