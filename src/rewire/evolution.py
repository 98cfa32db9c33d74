"""How the circuit changes over the checkpoints, against the previous one and against the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rewire.circuits.comparison import change
from rewire.circuits.interchange import read_scores
from rewire.errors import InputError
from rewire.tables import schema, write_table

SCHEMA = schema(
    checkpoint="string",
    step="int64",
    reference="string",
    reference_checkpoint="string",
    edges="int32",
    nodes="int32",
    edge_jaccard="float64",
    node_jaccard="float64",
    edges_born="int32",
    edges_lost="int32",
    nodes_born="int32",
    nodes_lost="int32",
)


def write_evolution(scores: Mapping[str, str | Path], steps: Mapping[str, int], path: str | Path) -> None:
    """Compare the circuits in ``scores`` (checkpoint -> scores file, in training order, the base first).

    ``steps``: checkpoint -> training step. Two rows a checkpoint: ``reference`` is ``previous`` or ``base``.
    """
    circuits = {name: read_scores(file)[1] for name, file in scores.items()}
    names = list(circuits)
    if len({circuit.graph for circuit in circuits.values()}) != 1:
        raise InputError(f"checkpoints {', '.join(names)}: their graphs differ")
    rows = []
    for i, name in enumerate(names[1:], start=1):
        for reference, other in (("previous", names[i - 1]), ("base", names[0])):
            rows.append(
                {
                    "checkpoint": name,
                    "step": steps[name],
                    "reference": reference,
                    "reference_checkpoint": other,
                    "edges": circuits[name].n_edges,
                    "nodes": int(circuits[name].nodes.sum()),
                    **asdict(change(circuits[other], circuits[name])),
                }
            )
    write_table(path, rows, SCHEMA)
