"""Direct logit attribution and the logit lens: what the residual stream already says about the answers.

Definitions: docs/definitions.md, "Probes". Logits after the last token alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.probes.runs import Run, precise
from rewire.residual import ResidualStream

NONE = -1  # layer or head of a component that has none


@dataclass(frozen=True)
class Component:
    """A term of the residual stream. ``name``: embedding, position, head, attention_bias, mlp or final_bias."""

    name: str
    layer: int = NONE
    head: int = NONE


class AnswerDirections:
    """What a component must write to raise an answer's logit, with the final norm's scale frozen at a run's own.

    ``vectors``: [B, 2, D], of the correct and the incorrect answer: the logit is ⟨what is written, vector⟩ summed over all
    components, plus ``constant`` [B, 2] (the final norm's bias and the unembedding's).
    """

    def __init__(self, run: Run, answers: Tensor) -> None:
        """``answers``: int64 [B, 2]."""
        stream = run.stream
        answers = answers.to(stream.unembedding.device)
        final = run.residual(stream.n_layers)[:, -1]  # [B, D]
        rows = stream.unembedding[answers]  # [B, 2, D]
        gain, shift = final_gain(stream)
        vectors = rows * gain / stream.scale(final)[:, None]
        self.vectors = vectors - vectors.mean(dim=-1, keepdim=True) if stream.centred else vectors
        self.constant = rows @ shift
        if stream.unembedding_bias is not None:
            self.constant = self.constant + stream.unembedding_bias[answers]

    def logits(self, written: Tensor) -> Tensor:
        """[B, ..., D] -> [B, ..., 2]: how much what is written adds to both logits."""
        return torch.einsum("b...d,bad->b...a", written, self.vectors)


def final_gain(stream: ResidualStream) -> tuple[Tensor, Tensor]:
    """The final norm's gain and bias, [D] each; 1 and 0 where it has none."""
    norm = stream.bridge.ln_final.original_component
    gain, shift = getattr(norm, "weight", None), getattr(norm, "bias", None)
    one = stream.embedding.new_ones(stream.d_model)
    return one if gain is None else gain.detach(), torch.zeros_like(one) if shift is None else shift.detach()


@torch.no_grad()
def attribute_logits(run: Run, answers: Tensor) -> tuple[list[Component], Tensor]:
    """Every component and what it adds to the logits of the answers int64 [B, 2]: float64 [B, components, 2].

    They sum to the logits. A head's row is its part of the attention's output; the bias is a row of its layer.
    """
    directions = AnswerDirections(run, answers)
    components, parts = [], []
    for component, written in written_last(run):
        components += component
        parts.append(directions.logits(written))
    components.append(Component("final_bias"))
    parts.append(directions.constant[:, None])
    return components, torch.cat(parts, dim=1).double().cpu()


def written_last(run: Run) -> Iterator[tuple[list[Component], Tensor]]:
    """What components write at the last position, [B, n, D] of n components at once; their sum is the residual stream."""
    stream, trace = run.stream, run.trace
    last = run.tokens[:, -1:]
    yield [Component("embedding")], stream.embed(last)
    end = run.shape[1]
    place = stream.positions(end - 1, end)
    if isinstance(place, Tensor):
        yield [Component("position")], place.expand(len(last), 1, -1)
    for layer in range(stream.n_layers):
        heads = torch.einsum("bhe,hed->bhd", trace.z[layer][:, -1], stream.weight_o[layer])
        yield [Component("head", layer, head) for head in range(stream.n_heads)], heads
        yield [Component("attention_bias", layer)], stream.bias_o[layer].expand(len(last), 1, -1)
        yield [Component("mlp", layer)], trace.mlp_out[layer][:, -1:]


@torch.no_grad()
def logit_lens(run: Run, answers: Tensor) -> Tensor:
    """float64 [B, L + 1, 4]: p of both answers, logit difference and the correct one's rank, at each depth.

    Depth l is the residual stream that enters block l at the last position (L: leaves the last block), put through the final
    norm and the unembedding as if the model ended there. Rank 1 is the most likely token.
    """
    stream = run.stream
    found = []
    for depth in range(stream.n_layers + 1):
        found.append(read_answers(stream, run.residual(depth)[:, -1], answers))
    return torch.stack(found, dim=1)


def read_answers(stream: ResidualStream, state: Tensor, answers: Tensor) -> Tensor:
    """[B, D] residual streams before the final norm -> float64 [B, 4]: p correct, p incorrect, logit difference, rank."""
    logits = precise(stream.logits(state))
    chosen = logits.gather(1, answers.to(logits.device))
    probability = (chosen - logits.logsumexp(dim=1, keepdim=True)).exp()
    columns = [probability, chosen[:, :1] - chosen[:, 1:], rank_of(logits, chosen[:, :1])]
    return torch.cat([column.double() for column in columns], dim=1).cpu()


def rank_of(logits: Tensor, chosen: Tensor) -> Tensor:
    """Rank of the value ``chosen`` [..., 1] among ``logits`` [..., V]: 1 if none is larger."""
    return (logits > chosen).sum(dim=-1, keepdim=True) + 1
