"""MLP hidden units in two models: running moments of their per-example means, and what follows from them.

A table a neuron and example would be huge (37,000 neurons in GPT-2 small), so only counts, means and sums of squares
are kept, whatever the number of examples. Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from rewire.statistics import MINIMUM, benjamini_hochberg
from rewire.tables import schema, write_table

SCHEMA = schema(
    layer="int32",
    neuron="int32",
    rank="int32",
    mean_base="float64",
    mean="float64",
    difference="float64",
    low="float64",
    high="float64",
    cohens_d="float64",
    p="float64",
    q="float64",
    n="int32",
)
CONFIDENCE = 0.95

Array = NDArray[np.float64]


class NeuronMoments:
    """Count, mean and sum of squared deviations of every neuron in P, in Q, and of Q - P: arrays [3, L, N].

    Merged batch by batch (Chan et al., 1979), so that batches change nothing but rounding.
    """

    def __init__(self, n_layers: int, n_neurons: int) -> None:
        self.count = np.zeros(n_layers, dtype=int)
        self.mean = np.zeros((3, n_layers, n_neurons))
        self.squares = np.zeros((3, n_layers, n_neurons))

    def add(self, layer: int, base: Array, tuned: Array) -> None:
        """Per-example means [B, N] of one layer's neurons in P and in Q."""
        values = np.stack([base, tuned, tuned - base])  # [3, B, N]
        before, new = self.count[layer], values.shape[1]
        after = before + new
        mean = values.mean(axis=1)
        distance = mean - self.mean[:, layer]
        self.squares[:, layer] += ((values - mean[:, None]) ** 2).sum(axis=1)
        self.squares[:, layer] += distance**2 * (before * new / after)
        self.mean[:, layer] += distance * (new / after)
        self.count[layer] = after

    def columns(self) -> dict[str, Array]:
        """Column of the table -> [L, N].

        Cohen's d: difference of the means over the root mean of the two variances across examples. p: paired t-test
        over examples, since thousands of neurons need p-values far below what a permutation can reach; q over all
        neurons of the model. Fewer than 5 examples: no interval and no test (NaN).
        """
        n = int(self.count[0])
        base, tuned, difference = self.mean
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = self.squares / (n - 1)
            d = np.where(difference == 0, 0.0, difference / np.sqrt((variance[0] + variance[1]) / 2))
            error = np.sqrt(variance[2] / n)
            p = np.where(difference == 0, 1.0, 2 * stats.t.sf(np.abs(difference / error), n - 1))
            margin = error * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
        if n < MINIMUM:
            p, margin = np.full_like(p, np.nan), np.full_like(p, np.nan)
        d[~np.isfinite(d)] = np.nan  # one example, or neurons that say the same in every one
        return {
            "mean_base": base,
            "mean": tuned,
            "difference": difference,
            "low": difference - margin,
            "high": difference + margin,
            "cohens_d": d,
            "p": p,
            "q": benjamini_hochberg(p),
        }

    def write(self, path: str | Path) -> None:
        """A row a neuron; ``rank`` 1 is the largest |Cohen's d| of its layer."""
        columns = self.columns()
        size = np.nan_to_num(np.abs(columns["cohens_d"]), nan=-1.0)
        rank = np.argsort(np.argsort(-size, axis=1, kind="stable"), axis=1) + 1
        layer, neuron = np.indices(rank.shape).reshape(2, -1)
        whole: dict[str, Any] = {"layer": layer, "neuron": neuron, "rank": rank.ravel()}
        measured = {name: pa.array(values.ravel(), from_pandas=True) for name, values in columns.items()}
        count = np.full(layer.shape, self.count[0])
        write_table(path, whole | measured | {"n": count}, SCHEMA)
