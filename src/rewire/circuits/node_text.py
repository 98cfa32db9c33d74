"""The nodes of a graph as the published EAP-IG library's JSON describes them: flag, score and neurons of each."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.circuits.published import PublishedGraph
from rewire.errors import InputError

# key of a node -> field of PublishedGraph
FIELDS = {
    "in_graph": "nodes_in_graph",
    "score": "nodes_scores",
    "neurons": "neurons_in_graph",
    "neurons_scores": "neurons_scores",
}
FLAGS = ("in_graph", "neurons")


def described_nodes(published: PublishedGraph) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node's name and entry; logits, which has no score, last."""
    kept = {key: getattr(published, field) for key, field in FIELDS.items()}
    for i, name in enumerate(published.graph.sources):
        rows = layer_rows(published.graph, i)
        yield (
            name,
            {
                key: values[rows if key.startswith("neurons") else i].tolist()
                for key, values in kept.items()
                if values is not None
            },
        )
    yield "logits", {"in_graph": True}


def layer_rows(graph: Graph, source: int) -> int | slice:
    """The sources whose neurons the library reads from one node's entry: of a head, all heads of its layer."""
    layer, within = divmod(source - 1, graph.n_heads + 1)
    if source == 0 or within == graph.n_heads:
        return source
    return slice(graph.first_source(layer), graph.first_source(layer) + graph.n_heads)


def read_nodes(path: str | Path, graph: Graph, nodes: dict[str, Any]) -> dict[str, Tensor]:
    """The fields of ``PublishedGraph`` that ``nodes`` holds, which has an entry for each of the graph's sources.

    Errors: InputError that names the file, the node and the key.
    """
    for name, node in nodes.items():
        if not isinstance(node, dict) or type(node.get("in_graph")) is not bool:
            raise InputError(f"{path}: node {name!r} needs the key in_graph, true or false")
    fields = {}
    for key, field in FIELDS.items():
        without = [name for name in graph.sources if key not in nodes[name]]
        if len(without) == graph.n_sources:
            continue
        if without:
            raise InputError(f"{path}: node {without[0]!r} has no key {key!r}, others have")
        read = read_neurons if key.startswith("neurons") else read_value
        values = [read(path, graph, nodes, source, key) for source in range(graph.n_sources)]
        fields[field] = torch.tensor(values, dtype=torch.bool if key in FLAGS else torch.float32)
    return fields


def read_value(path: str | Path, graph: Graph, nodes: dict[str, Any], source: int, key: str) -> Any:
    name = graph.sources[source]
    value = nodes[name][key]
    if not of_kind(key, [value]):
        raise InputError(f"{path}: {key} of node {name!r} is {reprlib.repr(value)}")
    return value


def read_neurons(path: str | Path, graph: Graph, nodes: dict[str, Any], source: int, key: str) -> list[Any]:
    """A node's own D values: of a head, its row among those of its layer's heads, or a row that stands alone."""
    name, rows = graph.sources[source], layer_rows(graph, source)
    row = nodes[name][key]
    if isinstance(rows, slice) and isinstance(row, list) and len(row) == graph.n_heads and nested(row):
        first = graph.sources[rows.start]
        if row != nodes[first][key]:
            raise InputError(f"{path}: nodes {first!r} and {name!r} disagree on {key} of their layer's heads")
        row = row[source - rows.start]
    if not isinstance(row, list) or len(row) != graph.d_model or not of_kind(key, row):
        raise InputError(
            f"{path}: {key} of node {name!r} is not one value for each of {graph.d_model} neurons"
        )
    return row


def nested(values: list[Any]) -> bool:
    return any(isinstance(value, list) for value in values)


def of_kind(key: str, values: list[Any]) -> bool:
    """Whether all are flags or, of scores, numbers."""
    return set(map(type, values)) <= ({bool} if key in FLAGS else {int, float})
