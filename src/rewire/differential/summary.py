"""One row a measure and place: mean over examples, 95 % interval, p and q. No torch.

Definitions: docs/definitions.md, "Differential" and "Statistics".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewire import statistics
from rewire.differential.tables import COMPONENTS, Array, Examples
from rewire.tables import schema

SCHEMA = schema(
    family="string",
    measure="string",
    site="string",
    layer="int32",
    head="int32",
    value="float64",
    low="float64",
    high="float64",
    n="int32",
    p="float64",
    q="float64",
)
DISTANCES = ("cosine_distance", "centred_cosine_distance", "cka", "rsa")
DIVERGENCES = ("attention_kl", "attention_kl_reverse", "attention_js")
MAGNITUDES = ("norm", "mean_absolute")
ATTENTION = ("entropy", "normalised_entropy", "gini")
STATES, SITES = ("residual", "final_norm"), ("residual", "final_norm", *COMPONENTS)
SHARES = {"heads": "share_of_heads_with_falling_entropy", "layers": "share_of_layers_with_falling_entropy"}


@dataclass(frozen=True)
class Measured:
    """One measure of a family of places: the ``values`` [n, k] whose mean is reported, and what tests it.

    ``differences`` [n, k], tuned minus base: swapping the two models turns their sign. None for a distance, which has no
    sign to turn. ``places``: site, layer and head of each of the k columns.
    """

    family: str
    measure: str
    places: list[dict[str, Any]]
    values: Array
    differences: Array | None = None


def summary_rows(examples: Examples, permutations: int) -> list[dict[str, Any]]:
    """Every measure at every layer and head, and the shares of heads and layers whose entropy falls."""
    rows = [row for measured in measures(examples) for row in summarize(measured, permutations)]
    return [*rows, *falling_entropy(examples)]


def measures(examples: Examples) -> Iterator[Measured]:
    """All measures: hidden states and magnitudes by site, attention by layer (mean over heads) and by head."""
    for measure in (*DISTANCES, *MAGNITUDES):
        sites = [place for place in examples.sites if place[1] in (STATES if measure in DISTANCES else SITES)]
        places = [{"site": site, "layer": layer} for layer, site in sites]
        values = examples.at(measure, sites)
        if measure in DISTANCES:
            yield Measured("layers", measure, places, values)
        else:
            base = examples.at(f"{measure}_base", sites)
            yield Measured("layers", f"{measure}_change", places, relative(values, base), values - base)
    for measure in (*ATTENTION, *DIVERGENCES):
        values = examples.heads[measure]  # [n, L, H]
        n, n_layers, n_heads = values.shape
        signed = measure in ATTENTION
        name = f"{measure}_change" if signed else measure
        if signed:
            values = values - examples.heads[f"{measure}_base"]
        by_layer, by_head = values.mean(axis=2), values.reshape(n, -1)
        layers = [{"site": "attention", "layer": layer} for layer in range(n_layers)]
        heads = [{**place, "head": head} for place in layers for head in range(n_heads)]
        yield Measured("layers", name, layers, by_layer, by_layer if signed else None)
        yield Measured("heads", name, heads, by_head, by_head if signed else None)


def relative(values: Array, base: Array) -> Array:
    """(Q - P) / P; 0 where both are 0, NaN where P alone is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(values == base, 0.0, (values - base) / base)
    return np.where(np.isfinite(change), change, np.nan)


def summarize(measured: Measured, permutations: int) -> list[dict[str, Any]]:
    """Rows of SCHEMA; ``q`` is over the places of this measure. An example without a value (NaN) does not count in ``n``."""
    k = measured.values.shape[1]
    value, low, high, p = (np.full(k, np.nan) for _ in range(4))
    known = np.isfinite(measured.values)  # [n, k]
    for pattern in np.unique(known, axis=1).T:  # nearly always one: nothing is missing
        columns = np.flatnonzero((known == pattern[:, None]).all(axis=0))
        chosen = np.ix_(pattern, columns)
        value[columns], low[columns], high[columns] = statistics.column_means(measured.values[chosen])
        if measured.differences is not None:
            p[columns] = statistics.paired_permutation(measured.differences[chosen], permutations)
    q = statistics.benjamini_hochberg(p)
    numbers = {"value": value, "low": low, "high": high, "p": p, "q": q}
    return [
        {"family": measured.family, "measure": measured.measure, **place, "n": int(known[:, i].sum())}
        | {name: given(column[i]) for name, column in numbers.items()}
        for i, place in enumerate(measured.places)
    ]


def given(number: float) -> float | None:
    """Null instead of NaN."""
    return float(number) if np.isfinite(number) else None


def falling_entropy(examples: Examples) -> list[dict[str, Any]]:
    """The share of heads, and of layers (mean over heads), whose mean entropy change is below 0; examples resampled."""
    change = examples.heads["entropy"] - examples.heads["entropy_base"]  # [n, L, H]
    change = change[np.isfinite(change).all(axis=(1, 2))]
    rows = []
    for what, values in (("heads", change.reshape(len(change), -1)), ("layers", change.mean(axis=2))):
        share = falling_share(values)
        numbers = {name: given(number) for name, number in zip(("value", "low", "high"), share, strict=True)}
        rows.append(
            {"family": "model", "measure": SHARES[what], "site": "attention", "n": len(values)} | numbers
        )
    return rows


def falling_share(change: Array) -> Sequence[float]:
    """Share of the columns of ``change`` [n, k] with a mean below 0, and its percentile bootstrap interval."""
    n = len(change)
    value = float((change.mean(axis=0) < 0).mean()) if n else np.nan
    if n < statistics.MINIMUM:
        return value, np.nan, np.nan
    drawn = statistics.bootstrap_weights(n, 2000) @ change < 0
    return value, *np.quantile(drawn.mean(axis=1), [0.025, 0.975])
