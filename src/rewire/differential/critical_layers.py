"""Which layers fine-tuning changed most: attention KL, entropy and activations, z-scored across layers. No torch.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rewire.differential.summary import given
from rewire.differential.tables import COMPONENTS, Array, Examples, Site
from rewire.statistics import benjamini_hochberg, permutation_p, permutations, sign_flips
from rewire.tables import schema, write_table

PARTS = ("attention_kl", "entropy", "activation")
SCHEMA = schema(
    layer="int32",
    attention_kl="float64",
    entropy="float64",
    activation="float64",
    score="float64",
    n="int32",
    p="float64",
    q="float64",
)
SAME = 1e-9  # relative spread below which a measure is the same in every layer


def write_critical_layers(
    examples: Examples, weights: Mapping[str, float], resamples: int, path: str | Path
) -> None:
    """A row a layer: the three parts, their weighted sum of z-scores (``score``), p and q."""
    changes = layer_changes(examples)
    n = len(changes["attention_kl"])
    drawn = [parts(changes, signs) for signs in (np.ones((1, n)), *sign_flips(n, resamples))]
    found = {name: np.vstack([block[name] for block in drawn]) for name in PARTS}
    scores = weighted_scores(found, weights)
    _, exact = permutations(n, resamples)
    p = permutation_p(scores[1:] >= scores[0] - SAME, exact) if n else np.full(examples.n_layers, np.nan)
    columns = {name: found[name][0] for name in PARTS} | {"score": scores[0]}
    columns |= {"p": p, "q": benjamini_hochberg(p)}
    rows = [
        {"layer": layer, "n": n} | {name: given(column[layer]) for name, column in columns.items()}
        for layer in range(examples.n_layers)
    ]
    write_table(path, rows, SCHEMA)


def layer_changes(examples: Examples) -> dict[str, Array]:
    """Per-example changes [n, L, units] of each part, a unit a head or component: KL, H_Q - H_P, log(norm_Q / norm_P).

    And what swapping P and Q makes of the first: ``attention_kl_reverse``. Examples for which one is undefined are left out.
    """
    sites = component_sites(examples.n_layers)
    norm, base = (examples.at(measure, sites) for measure in ("norm", "norm_base"))
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(norm == base, 0.0, np.log(norm / base))
    changes = {
        "attention_kl": examples.heads["attention_kl"],
        "attention_kl_reverse": examples.heads["attention_kl_reverse"],
        "entropy": examples.heads["entropy"] - examples.heads["entropy_base"],
        "activation": growth.reshape(len(examples.ids), examples.n_layers, -1),
    }
    known = np.logical_and.reduce([np.isfinite(change).all(axis=(1, 2)) for change in changes.values()])
    return {name: change[known] for name, change in changes.items()}


def component_sites(n_layers: int) -> list[Site]:
    """The sites of each layer whose magnitude counts: what the block's parts write, and the residual stream after it."""
    return [
        place
        for layer in range(n_layers)
        for place in (*((layer, component) for component in COMPONENTS), (layer + 1, "residual"))
    ]


def parts(changes: Mapping[str, Array], signs: Array) -> dict[str, Array]:
    """Each part [R, L] where the examples with a -1 in ``signs`` [R, n] have P and Q swapped: all of +1 is the observed.

    A swap turns the sign of an example's change of entropy or activation: |mean over examples| of every head's or
    component's change, then the mean over the layer's. Of the attention's divergence it makes the reverse one: mean over
    examples and heads.
    """
    n, n_layers, _ = changes["attention_kl"].shape
    if not n:
        return {name: np.full((len(signs), n_layers), np.nan) for name in PARTS}
    there, back = (changes[name].mean(axis=2) for name in ("attention_kl", "attention_kl_reverse"))  # [n, L]
    found = {"attention_kl": ((signs > 0) @ there + (signs < 0) @ back) / n}
    for name in ("entropy", "activation"):
        mean = signs @ changes[name].reshape(n, -1) / n  # [R, L * units]
        found[name] = np.abs(mean).reshape(len(signs), n_layers, -1).mean(axis=2)
    return found


def weighted_scores(found: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """[R, L] a part, observed in row 0 -> [R, L]: the weighted sum of the parts' z-scores.

    Mean and standard deviation across layers are the observed ones in every row: a swap that leaves no systematic change
    must lower a layer's score, which z-scores worked out anew would hide.
    """
    return np.sum([weights[name] * standardised(found[name]) for name in PARTS], axis=0)


def standardised(values: Array) -> Array:
    """[R, L] less the mean of row 0, over its spread; a measure that is the same in every layer of row 0 says nothing: 0."""
    observed = values[0]
    if np.ptp(observed) <= SAME * np.abs(observed).max():
        return np.zeros_like(values)
    return (values - observed.mean()) / observed.std()
