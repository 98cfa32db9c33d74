"""The circuit of every checkpoint in small panels: which edges it keeps from the one before, gains and loses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from rewire.errors import InputError
from rewire.figures.circuit import arc
from rewire.figures.circuit_file import DrawnCircuit, Edge, edge_of, nodes_of
from rewire.figures.circuit_layout import BOX, Point, layout, route
from rewire.figures.frames import read_frame
from rewire.figures.panels import legend, no_data
from rewire.figures.style import FAINT, GREEN, INK, ORANGE, blank, checkpoint_label, save, themed

COLUMNS = 3
SCALE, WIDEST = (
    0.62,
    5.0,
)  # inches of the figure for an inch of the layout, at most; inches of a panel, at most
KEPT, BORN, LOST = "#9a9a9a", GREEN, ORANGE
DASHED = (0, (2.0, 1.2))

EDGE_COLUMNS = ("checkpoint", "edge", "score", "layers", "heads")

Key = tuple[str, str, str]


def draw(
    edges: str | Path,
    checkpoints: Sequence[str],
    steps: Mapping[str, int],
    name: str,
    png: str | Path,
    svg: str | Path,
    most: int = 150,
) -> None:
    """Draw the evolution stage's table of ``edges``; ``checkpoints`` in training order.

    Errors: InputError that names the table if it lacks a column or has an edge that is none, or if there is no checkpoint.
    """
    if not checkpoints:
        raise InputError("the circuit's evolution needs the circuit of at least one checkpoint")
    table = read_frame(edges, EDGE_COLUMNS, empty=True)
    if len(table):
        out = figure(circuits_of(edges, table, checkpoints), steps, name, most)
    else:
        out = without_edges(name)
    save(out, png, svg)


def circuits_of(path: str | Path, table: pd.DataFrame, checkpoints: Sequence[str]) -> dict[str, DrawnCircuit]:
    """The circuit of each of ``checkpoints``, from the rows of the table at ``path``."""
    sizes = table[["layers", "heads"]].drop_duplicates()
    if len(sizes) > 1 or not (sizes > 0).all(axis=None) or sizes.isna().any(axis=None):
        raise InputError(f"{path}: its circuits are not of one model (columns layers, heads)")
    n_layers, n_heads = (int(size) for size in sizes.iloc[0])
    nodes, out = nodes_of(n_layers, n_heads), {}
    for checkpoint in checkpoints:
        own = table[table["checkpoint"] == checkpoint]
        edges = [
            edge_of(path, str(edge), {"score": score}, nodes)
            for edge, score in zip(own["edge"], own["score"].tolist(), strict=True)
        ]
        out[checkpoint] = DrawnCircuit(n_layers, n_heads, edges)
    return out


@themed
def without_edges(name: str) -> Figure:
    """Where every score is 0 no checkpoint has a circuit."""
    out = blank(6.0, 2.5, f"The circuit over the checkpoints: {name}")
    no_data(out.subplots(), "no circuit has an edge")
    return out


@themed
def figure(
    circuits: Mapping[str, DrawnCircuit], steps: Mapping[str, int], name: str, most: int = 150
) -> Figure:
    """``circuits`` in training order; of each the ``most`` strongest edges are drawn, all of them counted."""
    places = layout(next(iter(circuits.values())))
    right, top = (max(place[i] for place in places.values()) for i in (0, 1))
    columns = min(COLUMNS, len(circuits))
    rows = math.ceil(len(circuits) / columns)
    scale = min(SCALE, WIDEST / (right + 1.5))
    width = columns * (scale * (right + 1.5) + 0.2) + 2.3
    out = blank(width, rows * (scale * (top + 0.8) + 0.5) + 0.4, f"The circuit over the checkpoints: {name}")
    panels = out.subplots(rows, columns, squeeze=False).ravel()
    before: dict[Key, Edge] | None = None
    for axes, (checkpoint, circuit) in zip(panels, circuits.items(), strict=False):
        edges = {(edge.source, edge.destination, edge.letter): edge for edge in circuit.edges}
        panel(axes, edges, before, places, most, 9.4 * scale)
        axes.set_title(f"{checkpoint_label(checkpoint, steps.get(checkpoint))}: {counted(edges, before)}")
        axes.set_xlim(-0.5, right + 0.8)
        axes.set_ylim(-0.35, top + 0.35)
        before = edges
    for axes in panels:
        axes.set_axis_off()
        axes.set_aspect("equal")
    legend(out, handles(), "edges")
    return out


def counted(edges: Mapping[Key, Edge], before: Mapping[Key, Edge] | None) -> str:
    """``48 edges, +19 −20``"""
    text = f"{len(edges):,} edges"
    if before is None:
        return text
    return f"{text}, +{len(edges.keys() - before.keys()):,} −{len(before.keys() - edges.keys()):,}"


def panel(
    axes: Axes,
    edges: Mapping[Key, Edge],
    before: Mapping[Key, Edge] | None,
    places: Mapping[str, Point],
    most: int,
    fontsize: float,
) -> None:
    """Edges that stayed, over them those born, under them those lost since ``before``; then the nodes."""
    old = edges if before is None else before
    groups = [
        ([edge for key, edge in old.items() if key not in edges], LOST),
        ([edge for key, edge in edges.items() if key in old], KEPT),
        ([edge for key, edge in edges.items() if key not in old], BORN),
    ]
    for chosen, colour in groups:
        shown = sorted(
            chosen, key=lambda edge: (-abs(edge.score), edge.source, edge.destination, edge.letter)
        )
        largest = abs(shown[0].score) if shown else 0.0
        for edge in reversed(shown[:most]):
            strength = abs(edge.score) / largest if largest else 0.0
            line = arc(edge, route(edge, places), colour, 0.35 * strength)
            line.set_linestyle(DASHED if colour == LOST else "solid")
            axes.add_patch(line)
    used = {node for source, destination, _ in edges for node in (source, destination)}
    for node, place in places.items():
        box(axes, node, place, node in used, fontsize)


def box(axes: Axes, node: str, place: Point, used: bool, fontsize: float) -> None:
    """A node, pale where the circuit does not have it."""
    corner = place[0] - BOX[0] / 2, place[1] - BOX[1] / 2
    shape = FancyBboxPatch(corner, *BOX, boxstyle="round,pad=0,rounding_size=0.07", zorder=3)
    shape.set(facecolor="white", edgecolor=INK if used else FAINT, linewidth=0.7)
    axes.add_patch(shape)
    colour = INK if used else FAINT
    axes.text(*place, node, fontsize=fontsize, color=colour, ha="center", va="center_baseline", zorder=4)


def handles() -> list[Line2D]:
    """What the colours mean."""
    kinds = {"kept from the panel before": KEPT, "born": BORN, "lost": LOST}
    out = [Line2D([], [], color=colour, linewidth=2, label=text) for text, colour in kinds.items()]
    out[-1].set_linestyle(DASHED)
    return out
