"""The per-example tables of a comparison, in memory as one array a measure. No torch.

Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rewire.errors import InputError
from rewire.tables import read_table, schema, write_table

LAYERS = schema(
    id="string",
    layer="int32",
    site="string",
    cosine_distance="float64",
    centred_cosine_distance="float64",
    cka="float64",
    rsa="float64",
    norm_base="float64",
    norm="float64",
    mean_absolute_base="float64",
    mean_absolute="float64",
)
HEADS = schema(
    id="string",
    layer="int32",
    head="int32",
    entropy_base="float64",
    entropy="float64",
    normalised_entropy_base="float64",
    normalised_entropy="float64",
    gini_base="float64",
    gini="float64",
    attention_kl="float64",
    attention_kl_reverse="float64",
    attention_js="float64",
)
LAYER_MEASURES = tuple(LAYERS.names[3:])
HEAD_MEASURES = tuple(HEADS.names[3:])
COMPONENTS = ("attention_out", "mlp_neurons", "mlp_out")

Array = NDArray[np.float64]
Site = tuple[int, str]  # layer, site


@dataclass(frozen=True)
class Examples:
    """What two models' comparison found in each example; NaN where a measure is undefined or was not taken.

    ``layers``: measure -> [n, sites]; ``sites``: their (layer, site) in order. ``heads``: measure -> [n, L, H].
    """

    ids: list[str]
    sites: list[Site]
    layers: dict[str, Array]
    heads: dict[str, Array]

    def at(self, measure: str, sites: Sequence[Site]) -> Array:
        """[n, len(sites)]: a measure of ``layers`` at these sites."""
        return self.layers[measure][:, [self.sites.index(site) for site in sites]]

    @property
    def n_layers(self) -> int:
        return max(layer for layer, _ in self.sites)


def all_sites(n_layers: int) -> list[Site]:
    """Every site in the order of computation; ``residual`` l is what enters block l, or leaves the last one (l = L)."""
    inside = [(layer, site) for layer in range(n_layers) for site in ("residual", *COMPONENTS)]
    return [*inside, (n_layers, "residual"), (n_layers, "final_norm")]


def no_examples(ids: Sequence[str], n_layers: int, n_heads: int) -> Examples:
    """Room for every measure of every example, all NaN."""
    sites = all_sites(n_layers)
    return Examples(
        list(ids),
        sites,
        {name: np.full((len(ids), len(sites)), np.nan) for name in LAYER_MEASURES},
        {name: np.full((len(ids), n_layers, n_heads), np.nan) for name in HEAD_MEASURES},
    )


def write_examples(examples: Examples, layers: str | Path, heads: str | Path) -> None:
    """A row an example and site to ``layers``, a row an example, layer and head to ``heads``; NaN becomes null."""
    n = len(examples.ids)
    layer, site = ([place[i] for place in examples.sites] for i in (0, 1))
    columns: dict[str, Any] = {"layer": np.tile(layer, n), "site": np.tile(site, n)}
    write_table(layers, repeated(examples.ids, columns) | numbers(examples.layers), LAYERS)
    _, n_layers, n_heads = examples.heads["entropy"].shape
    places = np.indices((n, n_layers, n_heads)).reshape(3, -1)
    columns = {"layer": places[1], "head": places[2]}
    write_table(heads, repeated(examples.ids, columns) | numbers(examples.heads), HEADS)


def repeated(ids: Sequence[str], columns: dict[str, Any]) -> dict[str, Any]:
    """``columns`` with the column ``id`` before them, each id as often as there are rows of an example."""
    rows = len(columns["layer"]) // len(ids)
    which = np.repeat(np.arange(len(ids)), rows)
    return {"id": pa.array(ids, pa.string()).take(pa.array(which))} | columns


def numbers(measures: dict[str, Array]) -> dict[str, pa.Array]:
    return {name: pa.array(values.ravel(), from_pandas=True) for name, values in measures.items()}


def read_examples(layers: str | Path, heads: str | Path) -> Examples:
    """What ``write_examples`` wrote. Errors: InputError that names the table whose columns or rows are others."""
    by_site, by_head = checked(layers, LAYERS), checked(heads, HEADS)
    ids = by_site["id"].unique().to_pylist()
    if by_head["id"].unique().to_pylist() != ids:
        raise InputError(f"{heads}: its examples are not those of {layers}")
    n, n_heads = len(ids), int(np.max(by_head["head"])) + 1
    rows = by_site.num_rows // n
    sites = list(
        zip(
            by_site["layer"][:rows].to_pylist(),
            by_site["site"][:rows].to_pylist(),
            strict=True,
        )
    )
    return Examples(
        ids,
        sites,
        {name: by_site[name].to_numpy().reshape(n, rows) for name in LAYER_MEASURES},
        {name: by_head[name].to_numpy().reshape(n, -1, n_heads) for name in HEAD_MEASURES},
    )


def checked(path: str | Path, expected: pa.Schema) -> pa.Table:
    table = read_table(path)
    if table.schema != expected or not table.num_rows:
        raise InputError(f"{path}: not a table of the differential analysis, or one without rows")
    return table
