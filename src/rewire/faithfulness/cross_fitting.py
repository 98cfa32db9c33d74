"""Circuits that are judged on other examples than those that scored them.

The examples are split into folds; the circuit that a fold judges is scored on all the other folds, and every example is
judged once. Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire.circuits import attribution, interchange
from rewire.circuits.resampling import reweighted, split_weights
from rewire.circuits.selection import Scores
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs

OPTIONS = ("metric", "method", "steps", "grid", "batch_tokens")  # of the circuits' settings


def score(model: Model, pairs: TokenPairs, circuits: Mapping[str, Any], examples: bool = False) -> Scores:
    """Edge scores as the circuits stage takes them; ``circuits``: its settings; ``examples``: keep each one's."""
    return attribution.attribute(model, pairs, **{key: circuits[key] for key in OPTIONS}, examples=examples)


def scores_with_examples(
    path: str | Path, model: Model, pairs: TokenPairs, circuits: Mapping[str, Any]
) -> Scores:
    """The scores at ``path`` and each example's; of a file without these, all scores anew."""
    scores, _ = interchange.read_scores(path)
    return score(model, pairs, circuits, examples=True) if scores.examples is None else scores


def cross_fits(scores: Scores, folds: int, seed: int) -> list[tuple[Tensor, Scores]]:
    """For each of ``folds`` random folds its examples (int64), and the mean scores of all examples outside it.

    As many folds as examples where these are fewer. Errors: InputError for less than 2 examples.
    """
    assert scores.examples is not None
    n = len(scores.examples)
    if n < 2:
        raise InputError(f"{n} pair: a circuit cannot be judged on other pairs than the one that scored it")
    inside = split_weights(n, min(folds, n), seed) > 0  # [folds, n]
    outside = ~inside / (~inside).sum(axis=1, keepdims=True)
    fitted = reweighted(scores, outside)
    return [
        (torch.from_numpy(own).nonzero().flatten(), part) for own, part in zip(inside, fitted, strict=True)
    ]
