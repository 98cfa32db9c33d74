"""Which layers fine-tuning changed most: attention KL, entropy and activations, z-scored across layers. No torch.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rewire.differential.summary import given
from rewire.differential.tables import COMPONENTS, Array, Examples, Site
from rewire.statistics import benjamini_hochberg, permutation_p, sign_flips
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
    examples: Examples, weights: Mapping[str, float], permutations: int, path: str | Path
) -> None:
    """A row a layer: the three parts, their weighted sum of z-scores (``score``), p and q."""
    changes = layer_changes(examples)
    n = len(changes["attention_kl"])
    signs, exact = sign_flips(n, permutations)
    found = parts(changes, np.vstack([np.ones(n), signs]))
    scores = weighted_scores(found, weights)
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

    Examples for which one of them is undefined are left out.
    """
    sites = component_sites(examples.n_layers)
    norm, base = (examples.at(measure, sites) for measure in ("norm", "norm_base"))
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(norm == base, 0.0, np.log(norm / base))
    changes = {
        "attention_kl": examples.heads["attention_kl"],
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
    """Each part [R, L] where the examples with a -1 in ``signs`` [R, n] have P and Q swapped.

    A swap turns the sign of an example's change of entropy or activation: |mean over examples| of every head's or
    component's change, then the mean over the layer's. A divergence has no sign and stays: mean over examples and heads.
    """
    found = {}
    for name, change in changes.items():
        n, n_layers, _ = change.shape
        if not n:
            found[name] = np.full((len(signs), n_layers), np.nan)
        elif name == "attention_kl":
            found[name] = np.tile(change.mean(axis=(0, 2)), (len(signs), 1))
        else:
            mean = signs @ change.reshape(n, -1) / n  # [R, L * units]
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
