"""How much each layer changed in fine-tuning, by the differential analysis and by the circuit.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

from rewire.circuits.comparison import layer_change
from rewire.circuits.interchange import read_scores
from rewire.tables import read_table, schema, write_table

SCHEMA = schema(criterion="string", layer="int32", value="float64")


def write_criticality(
    layers: str | Path,
    heads: str | Path,
    scores_before: str | Path,
    scores_after: str | Path,
    weights: Mapping[str, float],
    path: str | Path,
) -> None:
    """Rows criterion, layer, value for the criteria ``differential``, ``circuit`` (normalised) and ``circuit_raw``."""
    criteria = {"differential": differential_change(read_table(layers), read_table(heads), weights)}
    before, circuit = read_scores(scores_before)
    after, _ = read_scores(scores_after)
    raw, normalised = layer_change(before.values, after.values, circuit)
    criteria["circuit"], criteria["circuit_raw"] = normalised.numpy(), raw.numpy()
    rows = [
        {"criterion": name, "layer": layer, "value": float(value)}
        for name, values in criteria.items()
        for layer, value in enumerate(values)
    ]
    write_table(path, rows, SCHEMA)


def differential_change(layers: pa.Table, heads: pa.Table, weights: Mapping[str, float]) -> np.ndarray:
    """[L]: weighted sum of z-scores over the layers of attention KL, |entropy change| and hidden-state distance.

    The distance of layer l is that of the residual stream after block l.
    """
    by_head = heads.to_pandas()
    by_head["entropy_change"] = (by_head["entropy"] - by_head["entropy_base"]).abs()
    by_layer = layers.to_pandas()
    after_block = by_layer[(by_layer["site"] == "residual") & (by_layer["layer"] > 0)]
    measures = {
        "attention_kl": by_head.groupby("layer")["attention_kl"].mean(),
        "entropy": by_head.groupby("layer")["entropy_change"].mean(),
        "hidden_state": after_block.groupby("layer")["cosine_distance"].mean(),
    }
    columns = [
        weights[name] * standardised(values.sort_index().to_numpy()) for name, values in measures.items()
    ]
    return np.sum(columns, axis=0)


def standardised(values: np.ndarray) -> np.ndarray:
    """z-scores of ``values`` [L]; a measure that is the same in every layer says nothing: 0."""
    same = np.allclose(values, values[0], rtol=1e-9, atol=0)
    return np.zeros_like(values) if same else stats.zscore(values)
