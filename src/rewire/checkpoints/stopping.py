"""When a training run stops early, and which of its validated weights are the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Losses = Mapping[int, float]  # step -> validation loss


def validation_losses(history: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """step -> validation loss of a Trainer's log."""
    return {int(entry["step"]): float(entry["eval_loss"]) for entry in history if "eval_loss" in entry}


def rank_of(loss: float) -> float:
    """``loss`` as a number to compare: one that diverged is worse than any other."""
    return math.inf if math.isnan(loss) else loss


def best_step(losses: Losses) -> int | None:
    """The step after 0 of the lowest loss, the first of equals; None if there is none.

    The weights of step 0 are the base model's, which no run is about: they are never the best.
    """
    return min((step for step in losses if step > 0), key=lambda s: (rank_of(losses[s]), s), default=None)


def is_over(losses: Losses, before: float, patience: int) -> bool:
    """Whether the last ``patience`` validations brought nothing below all losses before, step 0's among them."""
    lowest, since = rank_of(before), 0
    for step in sorted(losses):
        if rank_of(losses[step]) < lowest:
            lowest, since = losses[step], 0
        else:
            since += 1
    return since >= patience
