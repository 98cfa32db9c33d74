"""Where the nodes and edges of a circuit drawing go, in inches."""

from __future__ import annotations

from collections.abc import Mapping

from rewire.figures.circuit_file import DrawnCircuit, Edge

COLUMN, LAYER, LIFT = 0.86, 1.3, 0.5  # between heads, between layers, from heads up to their MLP
BOX = (0.72, 0.44)  # a node's width and height
PORTS = {"": 0.0, "q": -0.24, "k": 0.0, "v": 0.24}  # from the middle of a node to where an edge arrives

Point = tuple[float, float]


def layout(circuit: DrawnCircuit) -> dict[str, Point]:
    """Node -> the middle of its box: a layer's heads in a row, its MLP to the right and a bit up."""
    middle = (circuit.n_heads - 1) * COLUMN / 2
    places = {"input": (middle, 0.0), "logits": (middle, 0.9 + LAYER * circuit.n_layers)}
    for layer in range(circuit.n_layers):
        y = 0.9 + LAYER * layer
        places |= {f"a{layer}.h{head}": (head * COLUMN, y) for head in range(circuit.n_heads)}
        places[f"m{layer}"] = (circuit.n_heads * COLUMN + 0.25, y + LIFT)
    return places


def route(edge: Edge, places: Mapping[str, Point]) -> list[Point]:
    """The four points of a Bezier curve that leaves its source upwards and arrives from below."""
    (x0, y0), (x1, y1) = places[edge.source], places[edge.destination]
    x1, y0, y1 = x1 + PORTS[edge.letter], y0 + BOX[1] / 2, y1 - BOX[1] / 2
    rise = 0.45 * max(y1 - y0, 0.3)
    above = abs(x1 - x0) < 0.5 * COLUMN and y1 - y0 > LAYER
    bow = 0.55 * COLUMN if above else 0.0  # round the nodes between
    return [(x0, y0), (x0 + bow, y0 + rise), (x1 + bow, y1 - rise), (x1, y1)]
