"""How far each checkpoint's circuit is from the previous one's and the base's, and where. Definitions: "Evolution"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rewire.circuits.comparison import changes, turnover_by_layer, turnover_counts
from rewire.circuits.noise_floor import TAILS, Resampled, centred, interval, random_circuits
from rewire.evolution.trajectory import Trajectory
from rewire.statistics import Array
from rewire.tables import schema

# one row a comparison
SCHEMA = schema(
    checkpoint="string",
    step="int64",
    reference="string",
    reference_checkpoint="string",
    examples="int32",
    edges="int32",
    nodes="int32",
    edge_jaccard="float64",
    edge_turnover="float64",
    edge_unshared="float64",
    node_jaccard="float64",
    node_turnover="float64",
    node_unshared="float64",
    weighted_jaccard="float64",
    spearman="float64",
    edges_born="int32",
    edges_lost="int32",
    nodes_born="int32",
    nodes_lost="int32",
)
# one row a comparison and measure of change
CHANGES = schema(
    checkpoint="string",
    step="int64",
    reference="string",
    reference_checkpoint="string",
    measure="string",
    value="float64",
    low="float64",
    high="float64",
    floor="float64",
    floor_low="float64",
    floor_high="float64",
    reference_floor="float64",
    reference_floor_low="float64",
    reference_floor_high="float64",
    beyond="float64",
    beyond_low="float64",
    beyond_high="float64",
    random="float64",
    random_low="float64",
    random_high="float64",
    examples="int32",
)
# one row a comparison and layer
LAYERS = schema(
    checkpoint="string",
    step="int64",
    reference="string",
    reference_checkpoint="string",
    end="string",
    layer="int32",
    edges_before="int32",
    edges_after="int32",
    edges_born="int32",
    edges_lost="int32",
)
# one row a checkpoint and edge of its circuit, with the size of the model
EDGES = schema(
    checkpoint="string",
    step="int64",
    edge="string",
    score="float64",
    layers="int32",
    heads="int32",
)
RANGE = (0.05, 0.95)  # of the noise floor and of random circuits
DISTANCES = ("turnover", "unshared")  # measures that grow with change; all others fall


def circuit_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of SCHEMA: every measure of change, edges and nodes born and lost."""
    rows = []
    for comparison in trajectory.comparisons:
        before, after = (trajectory.circuits[name] for name in comparison.pair)
        measured = {name: float(value[0]) for name, value in changes(before, after).items()}
        counts = turnover_counts(before.edges[0], after.edges[0], trajectory.graph)
        size = {"edges": int(after.edges.sum()), "nodes": int(after.nodes.sum())}
        rows.append(comparison._asdict() | {"examples": trajectory.n} | size | measured | counts)
    return rows


def change_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of CHANGES: each measure with its interval, the noise floor of both checkpoints, and random circuits."""
    resampled = trajectory.resampled
    measured = {pair: measures(trajectory, *pair, resampled) for pair in trajectory.pairs()}
    floors = {
        checkpoint: {measure: spread("floor", drawn) for measure, drawn in floor.items()}
        for checkpoint, floor in resampled.floors.items()
    }
    rows = []
    for comparison in trajectory.comparisons:
        for measure, columns in measured[comparison.pair].items():
            row = comparison._asdict() | {"measure": measure, "examples": trajectory.n} | columns
            row |= floors[comparison.checkpoint].get(measure, {})
            reference = floors[comparison.reference_checkpoint].get(measure, {})
            rows.append(row | {f"reference_{name}": value for name, value in reference.items()})
    return rows


def layer_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of LAYERS: edges born and lost, by the layer they start from and by the layer they arrive in."""
    rows = []
    for comparison in trajectory.comparisons:
        before, after = (trajectory.circuits[name].edges[0] for name in comparison.pair)
        turnover = turnover_by_layer(before, after, trajectory.graph)
        rows += [comparison._asdict() | layer._asdict() for layer in turnover]
    return rows


def edge_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of EDGES: the circuits that are compared, each edge with the score that it was chosen by."""
    graph, rows = trajectory.graph, []
    places = graph.mask.nonzero().tolist()
    for checkpoint, circuit in trajectory.circuits.items():
        about = {"checkpoint": checkpoint, "step": trajectory.steps[checkpoint]}
        about |= {"layers": graph.n_layers, "heads": graph.n_heads}
        scores = circuit.scores[0].tolist()
        rows += [
            about | {"edge": graph.edge_name(*places[i]), "score": scores[i]}
            for i in circuit.edges[0].nonzero().flatten().tolist()
        ]
    return rows


def measures(
    trajectory: Trajectory, before: str, after: str, resampled: Resampled
) -> dict[str, dict[str, float]]:
    """Measure -> value, its interval, the range of random circuits, and the change beyond the floors there are.

    ``resampled``: ``Trajectory.resample`` of pairs among which this one is.
    """
    a, b = trajectory.circuits[before], trajectory.circuits[after]
    out = {name: {"value": float(value[0])} for name, value in changes(a, b).items()}
    settings = trajectory.settings
    seed = settings["seed"]
    random = random_circuits(a.edges[0], b.edges[0], trajectory.graph, settings["random"], seed)
    for name, drawn in random.items():
        out[name] |= spread("random", drawn)
    floors = [resampled.floors[name] for name in (before, after) if name in resampled.floors]
    for name, drawn in resampled.changes[before, after].items():
        around = centred(out[name]["value"], drawn)
        out[name] |= interval(name, around)
        if floors:
            out[name] |= beyond_floor(name, out[name]["value"], around, [floor[name] for floor in floors])
    return out


def beyond_floor(measure: str, value: float, around: Array, floors: Sequence[Array]) -> dict[str, float]:
    """How much farther apart the circuits are than two samples of the less stable model: > 0, more than noise.

    ``around``: centred bootstrap values [R] of ``value``; ``floors``: changes [R] between two samples of either model.
    The interval is the middle 95 % of the differences of the two, draw by draw, so that it has the error of what was
    observed and the spread of what another sample would have given.
    """
    sign = 1 if measure.endswith(DISTANCES) else -1
    floor = max(floors, key=lambda drawn: sign * drawn.mean())
    # one draw on: the first sample of each of the floor's pairs is the sample of the same place in ``around``
    low, high = np.quantile(sign * (np.roll(around, 1) - floor), TAILS)
    return {
        "beyond": float(sign * (value - floor.mean())),
        "beyond_low": float(low),
        "beyond_high": float(high),
    }


def spread(name: str, drawn: Array) -> dict[str, float]:
    """Mean, 5th and 95th percentile of ``drawn`` [R] as columns."""
    low, high = np.quantile(drawn, RANGE)
    return {name: float(drawn.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
