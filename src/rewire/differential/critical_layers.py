"""Which layers fine-tuning changed most: attention KL, entropy and activations, z-scored across layers. No torch.

Definitions: docs/definitions.md, "Critical layers".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rewire.differential.summary import given, relative
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

Swapped = tuple[
    Array, Array
]  # [n, L, units]: of P against Q, and what it becomes when an example's P and Q are swapped


def write_critical_layers(
    examples: Examples, weights: Mapping[str, float], permutations: int, path: str | Path
) -> None:
    """A row a layer: the three parts, their weighted sum of z-scores (``score``), p and q."""
    changes = layer_changes(examples)
    n = len(changes["attention_kl"][0])
    signs, exact = sign_flips(n, permutations)
    found = parts(changes, np.vstack([np.zeros(n), signs < 0]))
    scores = weighted_scores(found, weights)
    p = permutation_p(scores[1:] >= scores[0] - SAME, exact)
    columns = {name: found[name][0] for name in PARTS} | {"score": scores[0]}
    columns |= {"p": p, "q": benjamini_hochberg(p)}
    rows = [
        {"layer": layer, "n": n} | {name: given(column[layer]) for name, column in columns.items()}
        for layer in range(examples.n_layers)
    ]
    write_table(path, rows, SCHEMA)


def layer_changes(examples: Examples) -> dict[str, Swapped]:
    """Per-example changes of each part, by layer and unit (head, or component), before and after a swap of P and Q.

    Examples for which one of them is undefined are left out.
    """
    heads = examples.heads
    entropy = heads["entropy"] - heads["entropy_base"]
    sites = component_sites(examples.n_layers)
    shape = (len(examples.ids), examples.n_layers, -1)
    norm, base = (examples.at(measure, sites).reshape(shape) for measure in ("norm", "norm_base"))
    changes = {
        "attention_kl": (heads["attention_kl"], heads["attention_kl_reverse"]),
        "entropy": (entropy, -entropy),
        "activation": (relative(norm, base), relative(base, norm)),
    }
    known = np.logical_and.reduce(
        [np.isfinite(side).all(axis=(1, 2)) for both in changes.values() for side in both]
    )
    return {name: (change[known], swapped[known]) for name, (change, swapped) in changes.items()}


def component_sites(n_layers: int) -> list[Site]:
    """The sites of each layer whose magnitude counts: what the block's parts write, and the residual stream after it."""
    return [
        place
        for layer in range(n_layers)
        for place in (*((layer, component) for component in COMPONENTS), (layer + 1, "residual"))
    ]


def parts(changes: Mapping[str, Swapped], swap: Array) -> dict[str, Array]:
    """Each part [R, L] where the examples marked in ``swap`` [R, n] (0 or 1) have P and Q swapped.

    |mean over examples| of every head's (component's) change, then the mean over the layer's heads (components): a rise in
    one and a fall in another do not cancel, changes that differ in sign between examples do.
    """
    found = {}
    for name, (change, swapped) in changes.items():
        n, n_layers, _ = change.shape
        moved = (swapped - change).reshape(n, -1)
        mean = (change.reshape(n, -1).sum(axis=0) + swap @ moved) / n  # [R, L * units]
        found[name] = np.abs(mean).reshape(len(swap), n_layers, -1).mean(axis=2)
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
