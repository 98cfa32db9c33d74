"""The circuits that other examples would have given: each example's scores weighted anew, without running the model.

Definitions: docs/definitions.md, "Robustness".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rewire.circuits.selection import Scores
from rewire.errors import InputError
from rewire.statistics import Array


def split_weights(n: int, parts: int, seed: int) -> Array:
    """[parts, n]: the mean over each of ``parts`` disjoint random parts of ``n`` examples, sizes differing by 1 at most.

    Errors: InputError if there are fewer examples than parts.
    """
    if n < parts:
        raise InputError(f"{n} examples cannot be split into {parts} parts")
    order = np.random.default_rng(seed).permutation(n)
    weights = np.zeros((parts, n))
    for part, members in enumerate(np.array_split(order, parts)):
        weights[part, members] = 1 / len(members)
    return weights


def reweighted(scores: Scores, weights: Array) -> list[Scores]:
    """Edge scores under each row of ``weights`` [R, N] over the examples (``statistics.bootstrap_weights``).

    Errors: InputError without each example's scores, or for another number of examples.
    """
    if scores.examples is None or scores.level != "edge":
        raise InputError("resampling needs each example's edge scores: attribute with examples=True")
    if weights.shape[1] != len(scores.examples):
        raise InputError(f"weights of {weights.shape[1]} examples for scores of {len(scores.examples)}")
    packed = torch.from_numpy(weights) @ scores.examples.double()  # [R, edges]
    out = []
    for row in packed.float():
        values = torch.zeros_like(scores.values)
        values[scores.graph.mask] = row
        out.append(replace(scores, values=values, completeness_gap=None, examples=None))
    return out
