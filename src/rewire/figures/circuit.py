"""A circuit as a layered drawing: input at the bottom, logits at the top, the strongest edges between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from rewire.figures.circuit_file import DrawnCircuit, Edge, read_circuit
from rewire.figures.circuit_layout import BOX, LIFT, PORTS, Point, layout, route
from rewire.figures.style import BLUE, FAINT, GREY, INK, ORANGE, blank, save, themed

STYLES: dict[str, Any] = {"": "solid", "q": "solid", "k": (0, (4, 1.5)), "v": (0, (1.2, 1.2))}


def draw(circuit_json: str | Path, name: str, png: str | Path, svg: str | Path, most: int = 150) -> None:
    """Draw the ``most`` strongest edges of a circuit file (the published EAP-IG JSON format).

    Errors: InputError that names the file, and the edge, if it is no circuit file.
    """
    save(figure(read_circuit(circuit_json), name, most), png, svg)


@themed
def figure(circuit: DrawnCircuit, name: str, most: int = 150) -> Figure:
    """``circuit``: the edges in the graph with their scores, of which the ``most`` strongest are drawn."""
    edges = sorted(
        circuit.edges, key=lambda edge: (-abs(edge.score), edge.source, edge.destination, edge.letter)
    )
    shown = edges[:most]
    places = layout(circuit)
    right, top = (max(place[i] for place in places.values()) for i in (0, 1))
    count = f"{len(shown):,} of {len(edges):,} edges" if len(shown) < len(edges) else f"{len(edges):,} edges"
    out = blank(right + 3.9, top + 1.4, f"Circuit, {count}: {name}")
    axes = out.add_subplot()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-0.75, right + 0.5)
    axes.set_ylim(-0.35, top + 0.35)
    largest = (abs(shown[0].score) if shown else 0.0) or 1.0
    for edge in reversed(shown):  # the strongest on top
        points = route(edge, places)
        colour = BLUE if edge.score >= 0 else ORANGE
        axes.add_patch(arc(edge, points, colour, abs(edge.score) / largest))
        # a tip tells an edge that ends here from one that passes behind
        axes.plot(*points[-1], marker="^", markersize=4, color=colour, markeredgewidth=0, zorder=3.5)
    used = {node for edge in shown for node in (edge.source, edge.destination)}
    for node, (x, y) in places.items():
        box(
            axes, node, x, y, node in used, {edge.letter for edge in shown if edge.destination == node} - {""}
        )
    for layer in range(circuit.n_layers):
        height = places[f"m{layer}"][1] - LIFT
        axes.text(
            -0.72, height, f"layer {layer}", color=GREY, rotation=90, ha="left", va="center", fontsize=8.5
        )
    if shown:
        out.legend(handles=handles(largest), loc="outside right upper", labelspacing=0.7)
    return out


def arc(edge: Edge, points: list[Point], colour: str, strength: float) -> PathPatch:
    """A curve that leaves its source upwards and comes to its destination from below."""
    shape = PathPatch(Curve(points, [Curve.MOVETO] + [Curve.CURVE4] * 3), facecolor="none", capstyle="butt")
    shape.set(edgecolor=colour, alpha=0.5 + 0.45 * strength)
    shape.set(linewidth=width(strength), linestyle=STYLES[edge.letter])
    return shape


def width(strength: float) -> float:
    """Points, from |score| as a share of the largest; the root keeps weak edges visible."""
    return 0.5 + 3.5 * strength**0.5


def box(axes: Axes, node: str, x: float, y: float, used: bool, letters: set[str]) -> None:
    """A node, pale where no drawn edge touches it, with the letters of the ports that edges arrive at."""
    rounded = "round,pad=0,rounding_size=0.07"
    shape = FancyBboxPatch((x - BOX[0] / 2, y - BOX[1] / 2), *BOX, boxstyle=rounded, zorder=3)
    shape.set(facecolor="white", edgecolor=INK if used else FAINT, linewidth=0.9)
    axes.add_patch(shape)
    place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 4}
    axes.text(x, y + (0.09 if letters else 0), node, fontsize=8.5, color=INK if used else "#8c8c8c", **place)
    for letter in sorted(letters):
        axes.text(x + PORTS[letter], y - 0.13, letter, fontsize=8, color=GREY, **place)


def handles(largest: float) -> list[Line2D]:
    """What colour, width and line style mean."""
    signs = {"score > 0: corrupting\nthe edge raises the metric": BLUE, "score < 0: lowers it": ORANGE}
    letters = {"q": "into a head's query", "k": "into a head's key", "v": "into a head's value"}
    return [
        *(Line2D([], [], color=colour, linewidth=3, label=text) for text, colour in signs.items()),
        *(
            Line2D([], [], color=GREY, linewidth=width(share), label=f"|score| = {share * largest:.2g}")
            for share in (1.0, 0.25, 0.05)
        ),
        *(
            Line2D([], [], color=INK, linestyle=STYLES[letter], label=text)
            for letter, text in letters.items()
        ),
    ]
