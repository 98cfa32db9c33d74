"""What is read off a run: probabilities of the answers and their logit difference, or the NLL of target tokens.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.probes.patches import Patches
from rewire.probes.patching import Patching
from rewire.probes.runs import precise
from rewire.residual import ResidualStream

LOGITS = 4_000_000  # logits that are held at once


class Reading(Protocol):
    """Numbers that a run is measured by. ``names``: of the M measures; ``reads``: how many last positions they need."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def reads(self) -> int: ...

    def measure(self, stream: ResidualStream, example: Tensor, final: Tensor) -> Tensor:
        """Rows of examples int64 [R] with their residual stream before the final norm [R, reads, D] -> float64 [R, M]."""
        ...


class Answers:
    """Read after the last token: ``p_correct``, ``p_incorrect`` and ``logit_diff`` (correct minus incorrect)."""

    names = ("p_correct", "p_incorrect", "logit_diff")
    reads = 1

    def __init__(self, correct: Tensor, incorrect: Tensor) -> None:
        """``correct``, ``incorrect``: int64 [B], the examples' answers."""
        self.answers = torch.stack([correct, incorrect], dim=1)

    def measure(self, stream: ResidualStream, example: Tensor, final: Tensor) -> Tensor:
        measured = []
        step = max(1, LOGITS // len(stream.embedding))
        for rows, state in zip(example.split(step), final[:, -1].split(step), strict=True):
            logits = precise(stream.logits(state))
            answers = self.answers.to(logits.device)[rows]
            chosen = logits.gather(1, answers)  # [r, 2]
            probability = (chosen - logits.logsumexp(dim=1, keepdim=True)).exp()
            difference = chosen[:, :1] - chosen[:, 1:]
            measured.append(torch.cat([probability, difference], dim=1).double().cpu())
        return torch.cat(measured)


class TargetNll:
    """``nll``: mean negative log-likelihood of the target tokens after a prompt, nats a token."""

    names = ("nll",)

    def __init__(self, targets: Tensor) -> None:
        """``targets``: int64 [B, n], the tokens that follow the last n positions that are read."""
        self.targets, self.reads = targets, targets.shape[1]

    def measure(self, stream: ResidualStream, example: Tensor, final: Tensor) -> Tensor:
        measured = []
        step = max(1, LOGITS // (len(stream.embedding) * self.reads))
        for rows, state in zip(example.split(step), final.split(step), strict=True):
            logits = precise(stream.logits(state))  # [r, n, V]
            targets = self.targets.to(logits.device)[rows]
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            measured.append(loss.view_as(targets).double().mean(dim=1, keepdim=True).cpu())
        return torch.cat(measured)


@torch.no_grad()
def measure_run(patching: Patching, reading: Reading, which: str) -> Tensor:
    """float64 [B, M]: the ``donor`` run's or the ``recipient`` run's own measures, each by its own model."""
    run = getattr(patching.origin, which)
    example = torch.arange(run.shape[0], device=run.tokens.device)
    final = run.residual(run.stream.n_layers)[:, -reading.reads :]
    return reading.measure(run.stream, example, final)


@torch.no_grad()
def measure_patches(
    patching: Patching, reading: Reading, patches: Patches, batch_tokens: int = 4096
) -> Tensor:
    """float64 [R, M]: the measures under each patch; where nothing can change, exactly the recipient's own."""
    values = measure_run(patching, reading, "recipient")[patches.example]
    for rows, final in patching.finals(patches, batch_tokens):
        example = patches.example[rows].to(final.device)
        values[rows] = reading.measure(patching.stream, example, final)
    return values
