"""Circuits and scores as files: our safetensors, and the JSON and .pt of the published EAP-IG library."""

from __future__ import annotations

import json
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, Scores
from rewire.errors import InputError


def write_scores(scores: Scores, circuit: Circuit, path: str | Path) -> None:
    """``scores`` float32 and ``in_graph`` uint8, both [sources, destinations], and what they are as metadata."""
    graph = scores.graph
    metadata = {
        "n_layers": graph.n_layers,
        "n_heads": graph.n_heads,
        "d_model": graph.d_model,
        "parallel": graph.parallel,
        "method": scores.method,
        "metric": scores.metric,
        "completeness_gap": scores.completeness_gap,
        "requested": circuit.requested,
    }
    partial = Path(path).with_name(f".{Path(path).name}.partial")
    tensors = {"scores": scores.values.contiguous(), "in_graph": circuit.mask.to(torch.uint8).contiguous()}
    # one metadata entry: safetensors writes several in no fixed order
    save_file(tensors, partial, metadata={"rewire": json.dumps(metadata, sort_keys=True)})
    os.replace(partial, path)


def read_scores(path: str | Path) -> tuple[Scores, Circuit]:
    """What ``write_scores`` wrote. Errors: InputError that names the file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            described = json.loads(file.metadata()["rewire"])
            values, mask = file.get_tensor("scores"), file.get_tensor("in_graph").bool()
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a scores file: {error}") from error
    graph = Graph(described["n_layers"], described["n_heads"], described["d_model"], described["parallel"])
    scores = Scores(values, graph, described["method"], described["metric"], described["completeness_gap"])
    return scores, Circuit(mask, graph, described["requested"])


def write_eap_json(circuit: Circuit, scores: Scores, path: str | Path) -> None:
    """The circuit and all scores as the published EAP-IG library writes them (``Graph.to_json``)."""
    graph = circuit.graph
    alive = circuit.nodes.tolist()
    nodes: dict[str, Any] = {name: {"in_graph": alive[i]} for i, name in enumerate(graph.sources)}
    nodes["logits"] = {"in_graph": True}
    values, mask = scores.values.tolist(), circuit.mask.tolist()
    edges = {
        f"{source}->{destination}": {"score": values[u][v], "in_graph": mask[u][v]}
        for v, destination in enumerate(graph.destinations)
        for u, source in enumerate(graph.sources[: int(graph.readable[v])])
    }
    partial = Path(path).with_name(f".{Path(path).name}.partial")
    partial.write_text(json.dumps({"cfg": described_graph(graph), "nodes": nodes, "edges": edges}))
    os.replace(partial, path)


def write_eap_pt(circuit: Circuit, scores: Scores, path: str | Path) -> None:
    """The circuit and all scores as the published EAP-IG library writes them in binary (``Graph.to_pt``)."""
    graph = circuit.graph
    content = {
        "cfg": described_graph(graph),
        "src_nodes": graph.sources,
        "dst_nodes": graph.destinations,
        "edges_scores": scores.values,
        "edges_in_graph": circuit.mask,
        "nodes_in_graph": circuit.nodes,
    }
    partial = Path(path).with_name(f".{Path(path).name}.partial")
    torch.save(content, partial)
    os.replace(partial, path)


def read_eap_pt(path: str | Path) -> tuple[Scores, Circuit]:
    """A binary file of the published EAP-IG library; only tensors and plain values are loaded (``weights_only``).

    Errors: InputError that names the file and the key: not such a file, missing keys, wrong sizes, scores that are
    not finite.
    """
    try:
        content = torch.load(path, weights_only=True)
        graph = graph_of(content["cfg"])
        values, mask = content["edges_scores"].float(), content["edges_in_graph"].bool()
    except (OSError, RuntimeError, UnpicklingError, EOFError, AttributeError) as error:
        raise InputError(
            f"{path}: not a circuit file: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a circuit file, key {error} is missing") from error
    for name, tensor in (("edges_scores", values), ("edges_in_graph", mask)):
        if tensor.shape != graph.mask.shape:
            raise InputError(
                f"{path}: {name} is {list(tensor.shape)}, the graph needs {list(graph.mask.shape)}"
            )
    bad = (~torch.isfinite(values) & graph.mask).nonzero().tolist()
    if bad:
        raise InputError(f"{path}: the score of edge {graph.edge_name(*bad[0])!r} is not finite")
    mask &= graph.mask
    values = torch.where(graph.mask, values, torch.zeros_like(values))
    return Scores(values, graph, "unknown", "unknown"), Circuit(mask, graph, int(mask.sum()))


def described_graph(graph: Graph) -> dict[str, int | bool]:
    """A graph as the published library's ``cfg``."""
    return {
        "n_layers": graph.n_layers,
        "n_heads": graph.n_heads,
        "parallel_attn_mlp": graph.parallel,
        "d_model": graph.d_model,
    }


def graph_of(described: Any) -> Graph:
    """The graph that a ``cfg`` describes. Errors: KeyError for a missing entry."""
    return Graph(
        described["n_layers"], described["n_heads"], described["d_model"], described["parallel_attn_mlp"]
    )


def read_eap_json(path: str | Path) -> tuple[Scores, Circuit]:
    """A file of the published EAP-IG library: the scores of all edges, and the circuit of those flagged in_graph.

    Errors: InputError that names the file and the key: no JSON, missing keys, edges that the graph does not have
    or that are missing, scores that are not finite numbers.
    """
    try:
        content = json.loads(Path(path).read_text())
        graph, edges = graph_of(content["cfg"]), content["edges"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a JSON file: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a circuit file, key {error} is missing") from error
    source = {name: i for i, name in enumerate(graph.sources)}
    destination = {name: i for i, name in enumerate(graph.destinations)}
    values = torch.zeros(graph.mask.shape)
    mask, seen = torch.zeros_like(graph.mask), torch.zeros_like(graph.mask)
    if not isinstance(edges, dict):
        raise InputError(f"{path}: edges is {type(edges).__name__}, not a mapping of names")
    for name, edge in edges.items():
        u, _, v = name.partition("->")
        if u not in source or v not in destination or not graph.mask[source[u], destination[v]]:
            raise InputError(f"{path}: the graph has no edge {name!r}")
        at = source[u], destination[v]
        if not isinstance(edge, dict) or "score" not in edge or "in_graph" not in edge:
            raise InputError(f"{path}: edge {name!r} needs the keys score and in_graph")
        if not isinstance(edge["score"], int | float):
            raise InputError(f"{path}: the score of edge {name!r} is {edge['score']!r}, not a number")
        seen[at], mask[at], values[at] = True, bool(edge["in_graph"]), float(edge["score"])
        if not torch.isfinite(values[at]):
            raise InputError(f"{path}: the score of edge {name!r} is {edge['score']}")
    if not torch.equal(seen, graph.mask):
        u, v = (graph.mask & ~seen).nonzero()[0].tolist()
        raise InputError(f"{path}: edge {graph.edge_name(u, v)!r} is missing")
    return Scores(values, graph, "unknown", "unknown"), Circuit(mask, graph, int(mask.sum()))
