"""The circuit of a published EAP-IG JSON file as a list of edges, read without torch."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewire.errors import InputError

EDGE = re.compile(r"(input|m\d+|a\d+\.h\d+)->(?:(logits|m\d+)|(a\d+\.h\d+)<([qkv])>)")


@dataclass(frozen=True)
class Edge:
    """``letter`` is q, k or v where the destination is a head, else empty."""

    source: str
    destination: str
    letter: str
    score: float


@dataclass(frozen=True)
class DrawnCircuit:
    n_layers: int
    n_heads: int
    edges: list[Edge]  # those in the graph


def read_circuit(path: str | Path) -> DrawnCircuit:
    """The edges of ``path`` that are flagged in_graph.

    Errors: InputError that names the file: no JSON, missing keys, unknown nodes, a score that is not finite, a graph that
    is larger than the file.
    """
    try:
        text = Path(path).read_text()
        content = json.loads(text)
        n_layers, n_heads = int(content["cfg"]["n_layers"]), int(content["cfg"]["n_heads"])
        listed = {name: edge for name, edge in content["edges"].items() if edge["in_graph"]}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: not a circuit file with cfg.n_layers, cfg.n_heads and edges: {error}"
        ) from error
    if n_layers < 1 or n_heads < 1 or n_layers * n_heads > len(text):  # a size that the file cannot hold
        raise InputError(
            f"{path}: its cfg has {n_layers} layers and {n_heads} heads, the file {len(text)} characters"
        )
    nodes = nodes_of(n_layers, n_heads)
    return DrawnCircuit(
        n_layers, n_heads, [edge_of(path, name, edge, nodes) for name, edge in listed.items()]
    )


def nodes_of(n_layers: int, n_heads: int) -> set[str]:
    """The names of a graph's nodes."""
    nodes = {"input", "logits"} | {f"m{layer}" for layer in range(n_layers)}
    return nodes | {f"a{layer}.h{head}" for layer in range(n_layers) for head in range(n_heads)}


def edge_of(path: str | Path, name: str, described: dict[str, Any], nodes: set[str]) -> Edge:
    match = EDGE.fullmatch(name)
    source, destination = (match[1], match[2] or match[3]) if match else ("", "")
    if match is None or source not in nodes or destination not in nodes:
        raise InputError(f"{path}: {name!r} is not an edge of its graph")
    score = described.get("score")
    if not isinstance(score, (int, float)) or not math.isfinite(score):
        raise InputError(f"{path}: the score of edge {name!r} is {score}, expected a finite number")
    return Edge(source, destination, match[4] or "", float(score))
