"""Metrics of a run, one value an example. Definitions: docs/definitions.md, "Metrics"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.errors import InputError
from rewire.pairs import Targets

METRICS = ("nll", "kl", "kl_reverse", "kl_corrupted", "logit_diff", "prob_diff", "accuracy")


@dataclass(frozen=True)
class References:
    """Logits [N, V] at the target positions of the whole model's clean and corrupted runs."""

    clean: Tensor
    corrupted: Tensor


def measure(metric: str, logits: Tensor, targets: Targets, references: References) -> Tensor:
    """Value of ``metric`` for every example of a batch, float32 [B]; ``logits``: [N, V] at the target positions.

    ``nll``: mean negative log-likelihood of the target tokens, nats a token.
    ``kl``: KL(clean || run), a sum over the vocabulary, mean over the target positions, nats; ``kl_reverse``:
    KL(run || clean), ``kl_corrupted``: KL(corrupted || run), likewise.
    ``logit_diff``: logit(last target) - logit(wrong token), where the last target is read; ``prob_diff``: the same of
    probabilities. ``accuracy``: share of the target tokens that are the run's most likely ones, 0..1; no gradient.
    """
    if logits.dtype != torch.float64:
        logits = logits.float()  # half precision is measured in float32
    if metric == "nll":
        return targets.mean_per_example(F.cross_entropy(logits, targets.token, reduction="none"))
    if metric in ("kl", "kl_reverse", "kl_corrupted"):
        reference = references.corrupted if metric == "kl_corrupted" else references.clean
        log_reference = F.log_softmax(reference.to(logits.dtype), dim=-1)
        log_run = F.log_softmax(logits, dim=-1)
        of, to = (log_run, log_reference) if metric == "kl_reverse" else (log_reference, log_run)
        divergence = F.kl_div(to, of, log_target=True, reduction="none")  # KL(of || to)
        return targets.mean_per_example(divergence.sum(dim=-1))
    if metric == "accuracy":
        return targets.mean_per_example((logits.argmax(dim=-1) == targets.token).to(logits.dtype))
    if metric in ("logit_diff", "prob_diff"):
        if targets.wrong_token is None:
            raise InputError(f"metric {metric} needs pairs with a wrong_token")
        last = targets.last()
        chosen = logits[last] if metric == "logit_diff" else logits[last].softmax(dim=-1)
        right = chosen.gather(1, targets.token[last][:, None])
        return (right - chosen.gather(1, targets.wrong_token[:, None])).squeeze(1)
    raise InputError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
