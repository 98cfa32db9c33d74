"""How much a corruption hurts: the summary's NLL on the corrupted article minus on the clean one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rewire.circuits.evaluation import evaluate_baselines
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import read_pairs
from rewire.tables import schema, write_table

SCHEMA = schema(
    checkpoint="string", corruption="string", id="string", nll_clean="float64", nll_corrupted="float64"
)


def write_effects(
    checkpoints: Mapping[str, str | Path], pairs: Mapping[str, str | Path], path: str | Path
) -> None:
    """Per example NLL of the summary, nats a token: a row for each checkpoint, corruption and example.

    ``checkpoints``: name -> model folder; ``pairs``: corruption -> pair table.
    Errors: InputError that names both, and the example, for a model that cannot read it or is not finite on it.
    """
    rows = []
    for checkpoint, folder in checkpoints.items():
        model = load(folder)
        for corruption, table in pairs.items():
            ids, examples = read_pairs(table)
            try:
                values = evaluate_baselines(model, examples, ["nll"])
            except InputError as error:
                raise InputError(f"{folder} on {table}: {error}") from error
            for number, name in enumerate(ids):
                rows.append(
                    {
                        "checkpoint": checkpoint,
                        "corruption": corruption,
                        "id": name,
                        "nll_clean": float(values["clean"]["nll"][number]),
                        "nll_corrupted": float(values["corrupted"]["nll"][number]),
                    }
                )
    write_table(path, rows, SCHEMA)
