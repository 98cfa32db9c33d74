"""How much each layer and head changed in fine-tuning, by the differential analysis and by the circuit.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from rewire.circuits.comparison import layer_change
from rewire.circuits.graph import Graph
from rewire.circuits.interchange import read_scores
from rewire.errors import InputError
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(
    criterion="string", layer="int32", head="int32", value="float64", p="float64", q="float64"
)  # head is null in the rows of whole layers


def write_criticality(
    critical_layers: str | Path, scores_before: str | Path, scores_after: str | Path, path: str | Path
) -> None:
    """Rows criterion, layer, value for the criteria ``differential``, ``circuit`` (normalised) and ``circuit_raw``;
    for the last two also a row a head.

    ``critical_layers``: the differential analysis' table, with p and q; edge scores are means and have none.
    Errors: InputError that names the table if its layers are not the circuit's.
    """
    differential = read_table(critical_layers, ("layer", "score", "p", "q")).to_pylist()
    before, _ = read_scores(scores_before)
    after, _ = read_scores(scores_after)
    raw, normalised = layer_change(before.values, after.values, before.graph)
    if [row["layer"] for row in differential] != list(range(len(raw))):
        raise InputError(f"{critical_layers}: {len(differential)} layers; the circuit has {len(raw)}")
    rows: list[dict[str, Any]] = [
        {
            "criterion": "differential",
            "layer": row["layer"],
            "value": row["score"],
            "p": row["p"],
            "q": row["q"],
        }
        for row in differential
    ]
    raw_heads, normalised_heads = head_change(before.values, after.values, before.graph)
    for name, layers, heads in (
        ("circuit", normalised, normalised_heads),
        ("circuit_raw", raw, raw_heads),
    ):
        rows += [{"criterion": name, "layer": at, "value": value} for at, value in enumerate(layers.tolist())]
        rows += [
            {"criterion": name, "layer": layer, "head": head, "value": value}
            for layer, values in enumerate(heads.tolist())
            for head, value in enumerate(values)
        ]
    write_table(path, rows, SCHEMA)


def head_change(before: Tensor, after: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
    """Sum over the edges whose source is head h of layer l of |s_after - s_before|, and the same over the edge count.

    ``before``, ``after``: scores [sources, destinations]. Returns two float64 [L, H]: raw and normalised.
    """
    moved = ((after - before).abs() * graph.mask).double().sum(dim=1)
    edges = graph.mask.double().sum(dim=1)
    shape = (graph.n_layers, graph.n_heads + 1)  # the MLP of a layer follows its heads
    raw, count = (values[1:].view(shape)[:, :-1] for values in (moved, edges))
    return raw, raw / count
