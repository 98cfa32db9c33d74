"""How much each layer changed in fine-tuning, by the differential analysis and by the circuit.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from pathlib import Path

from rewire.circuits.comparison import layer_change
from rewire.circuits.interchange import read_scores
from rewire.errors import InputError
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(criterion="string", layer="int32", value="float64", p="float64", q="float64")


def write_criticality(
    critical_layers: str | Path, scores_before: str | Path, scores_after: str | Path, path: str | Path
) -> None:
    """Rows criterion, layer, value for the criteria ``differential``, ``circuit`` (normalised) and ``circuit_raw``.

    ``critical_layers``: the differential analysis' table, with p and q; edge scores are means and have none.
    Errors: InputError that names the table if its layers are not the circuit's.
    """
    differential = read_table(critical_layers).to_pylist()
    before, circuit = read_scores(scores_before)
    after, _ = read_scores(scores_after)
    raw, normalised = layer_change(before.values, after.values, circuit)
    if [row["layer"] for row in differential] != list(range(len(raw))):
        raise InputError(f"{critical_layers}: {len(differential)} layers; the circuit has {len(raw)}")
    rows = [
        {
            "criterion": "differential",
            "layer": row["layer"],
            "value": row["score"],
            "p": row["p"],
            "q": row["q"],
        }
        for row in differential
    ]
    rows += [
        {"criterion": name, "layer": layer, "value": float(value)}
        for name, values in (("circuit", normalised), ("circuit_raw", raw))
        for layer, value in enumerate(values)
    ]
    write_table(path, rows, SCHEMA)
