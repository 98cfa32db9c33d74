"""Does LoRA end in the circuit of full fine-tuning? Every adapted model's circuit against the others'.

Definitions: docs/definitions.md, "Bake-off"; the measures are those of "Evolution".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.circuits.comparison import changes
from rewire.circuits.noise_floor import Resampled
from rewire.evolution.changes import CHANGES, measures, spread
from rewire.evolution.trajectory import Trajectory, read_trajectory
from rewire.tables import schema, write_table

COLUMNS = [name for name in CHANGES.names if name not in ("checkpoint", "step", "reference_checkpoint")]
SCHEMA = schema(model="string", **{name: str(CHANGES.field(name).type) for name in COLUMNS})
MEASURES = ("edge_jaccard", "node_jaccard", "weighted_jaccard", "spearman")
REFERENCES = (
    2  # the base and the fully fine-tuned checkpoint: with intervals; strategies among themselves without
)


def write_adapted_circuits(
    scores: Mapping[str, str | Path], settings: Mapping[str, Any], path: str | Path
) -> None:
    """A row a pair of models and measure: ``scores`` model -> scores file, the base and the last checkpoint first.

    ``settings``: the config's evolution section (fraction, random, resamples, seed). Interval, noise floor of both models and
    random circuits where ``reference`` is the base or the last checkpoint; the value alone among strategies.
    Errors: InputError that names the models whose graphs or numbers of examples differ.
    """
    trajectory = read_trajectory(scores, dict.fromkeys(scores, 0), settings)
    names = list(scores)
    pairs = [(reference, model) for i, reference in enumerate(names) for model in names[i + 1 :]]
    resampled = trajectory.resample([pair for pair in pairs if pair[0] in names[:REFERENCES]])
    rows = []
    for reference, model in pairs:
        found = compared(trajectory, reference, model, resampled)
        common = {"model": model, "reference": reference, "examples": trajectory.n}
        rows += [common | {"measure": name} | found[name] for name in MEASURES]
    write_table(path, rows, SCHEMA)


def compared(
    trajectory: Trajectory, reference: str, model: str, resampled: Resampled
) -> dict[str, dict[str, float]]:
    """Measure -> columns of one pair of models; with interval, floors and random circuits if it was resampled."""
    if (reference, model) not in resampled.changes:
        two = trajectory.circuits[reference], trajectory.circuits[model]
        return {name: {"value": float(value[0])} for name, value in changes(*two).items()}
    found = measures(trajectory, reference, model, resampled)
    for name, columns in found.items():
        for prefix, of in (("floor", model), ("reference_floor", reference)):
            if name in resampled.floors[of]:
                columns |= spread(prefix, resampled.floors[of][name])
    return found
