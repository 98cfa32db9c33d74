"""Neurons: MLP hidden units, what patching them recovers, what they write to the answers directly, and to all tokens.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.probes.direct import AnswerDirections, final_gain
from rewire.probes.runs import Run, output_matrix
from rewire.residual import ResidualStream


@torch.no_grad()
def direct_effects(clean: Run, corrupted: Run, answers: Tensor, layer: int) -> Tensor:
    """float64 [B, N]: how much the logit difference moves if every neuron's change at the last position went to the logits alone.

    (a_clean − a_corrupted) times what the neuron writes, with the final norm's scale of the corrupted run.
    """
    stream = corrupted.stream
    directions = AnswerDirections(corrupted, answers)
    difference = directions.vectors[:, 0] - directions.vectors[:, 1]  # [B, D]
    written = difference @ output_matrix(stream, layer).T  # [B, N]
    change = clean.neurons(layer)[:, -1] - corrupted.neurons(layer)[:, -1]
    return (change * written).double().cpu()


@torch.no_grad()
def promoted_and_suppressed(
    stream: ResidualStream, layer: int, neurons: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Token ids int64 [n, count] that the ``neurons`` int64 [n] of a layer raise and lower most, strongest first.

    By the neuron's output direction through the final norm's gain and the unembedding: logits for one unit of activation.
    """
    weights = output_matrix(stream, layer)[neurons.to(stream.embedding.device)]  # [n, D]
    logits = direct_logits(stream, weights)
    count = min(count, logits.shape[-1])
    return logits.topk(count, dim=-1).indices.cpu(), (-logits).topk(count, dim=-1).indices.cpu()


def direct_logits(stream: ResidualStream, written: Tensor) -> Tensor:
    """[..., D] written to the residual stream -> [..., V]: centred, with the final norm's gain, without its scale and biases."""
    if stream.centred:
        written = written - written.mean(dim=-1, keepdim=True)
    return (written * final_gain(stream)[0]) @ stream.unembedding.T
