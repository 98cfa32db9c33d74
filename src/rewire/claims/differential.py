"""Measures of the differential analysis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rewire import statistics
from rewire.claims.frames import NotRun, Tables, frame
from rewire.differential.critical_layers import PARTS, layer_changes, parts, weighted_scores
from rewire.differential.tables import read_examples
from rewire.statistics import Estimate


def share_of_heads_with_falling_entropy(tables: Tables) -> Estimate:
    """Share of heads whose mean entropy change is below 0; the interval resamples examples."""
    table = frame(tables, "heads")
    table["change"] = table["entropy"] - table["entropy_base"]
    changes = table.pivot(
        index="id", columns=["layer", "head"], values="change"
    ).to_numpy()  # [examples, heads]
    rows = np.arange(len(changes))
    return statistics.estimate([rows], lambda index, axis=-1: falling_share(changes, index))


def falling_share(changes: np.ndarray, index: np.ndarray) -> Any:
    """Share of columns of changes[index] with a negative mean; ``index`` [..., n] may hold many resamples."""
    return (changes[index.astype(int)].mean(axis=-2) < 0).mean(axis=-1)


def share_of_layers_with_falling_entropy(tables: Tables) -> Estimate:
    table = frame(tables, "differential")
    row = table[table["measure"] == "share_of_layers_with_falling_entropy"].iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"]))


def attention_kl_peak(tables: Tables) -> Estimate:
    table = frame(tables, "heads")
    changes = table.groupby(["id", "layer"])["attention_kl"].mean().unstack().to_numpy()  # [examples, layers]
    rows = np.arange(len(changes))
    return statistics.estimate(
        [rows], lambda index, axis=-1: changes[index.astype(int)].mean(axis=-2).argmax(axis=-1).astype(float)
    )


def critical_among(*published: int) -> Callable[[Tables], Estimate]:
    """How many of the ``published`` layers are among as many most critical ones (parts weighted alike)."""

    def measure(tables: Tables) -> Estimate:
        if not {"layers", "heads"} <= set(tables):
            raise NotRun("layers")
        changes = layer_changes(read_examples(tables["layers"], tables["heads"]))
        n, n_layers, _ = changes["attention_kl"].shape
        if max(published) >= n_layers or not n:
            raise NotRun(f"layer {max(published)}")

        def found(index: np.ndarray) -> float:
            drawn = {name: change[index.astype(int)] for name, change in changes.items()}
            scores = weighted_scores(parts(drawn, np.ones((1, n))), dict.fromkeys(PARTS, 1.0))[0]
            return float(len(set(np.argsort(-scores, kind="stable")[: len(published)]) & set(published)))

        return statistics.estimate(
            [np.arange(n)], lambda index, axis=-1: np.apply_along_axis(found, axis, index)
        )

    return measure


def neuron_rank(layer: int, neuron: int, resamples: int = 1000) -> Callable[[Tables], Estimate]:
    """Rank of a neuron in its layer by |Cohen's d|, 1 the largest.

    The table holds means over examples alone. The interval draws every neuron's difference anew from a normal
    distribution with its standard error, one independent of the other.
    """

    def measure(tables: Tables) -> Estimate:
        table = frame(tables, "neurons")
        table = table[table["layer"] == layer].sort_values("neuron")
        if neuron not in set(table["neuron"]):
            raise NotRun(f"neuron {neuron} of layer {layer}")
        row = table[table["neuron"] == neuron].iloc[0]
        size, spread = table["cohens_d"].to_numpy(), (table["high"] - table["low"]).to_numpy() / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            # d and its standard error are the difference's, in units of the pooled deviation
            error = np.abs(spread / 1.96 * size / table["difference"].to_numpy())
        low = high = np.nan
        known = np.isfinite(error)  # a neuron without one says the same in both models, or in every example
        if known[table["neuron"] == neuron].all() and known.any():
            draws = np.abs(
                np.random.default_rng(0).normal(size[known], error[known], (resamples, known.sum()))
            )
            own = draws[:, table["neuron"].to_numpy()[known] == neuron]
            low, high = np.quantile(1 + (draws > own).sum(axis=1), [0.025, 0.975])
        return Estimate(float(row["rank"]), float(low), float(high), int(row["n"]))

    return measure
