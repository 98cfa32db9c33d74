"""Readings of single heads: where they look, what they would write about a token, which tokens they look for; baselines.

Definitions: docs/definitions.md, "Probes". A head is (layer, head).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.probes.direct import AnswerDirections, rank_of, read_answers
from rewire.probes.neurons import direct_logits
from rewire.probes.runs import Run
from rewire.residual import ResidualStream

Head = tuple[int, int]


def check_heads(stream: ResidualStream, heads: Sequence[Head]) -> None:
    """InputError for a head that the model has not."""
    for layer, head in heads:
        if not 0 <= layer < stream.n_layers or not 0 <= head < stream.n_heads:
            raise InputError(
                f"head {layer}.{head} is out of range: there are {stream.n_layers} layers of {stream.n_heads} heads, from 0"
            )


@torch.no_grad()
def attention_to(run: Run, position: Tensor) -> Tensor:
    """float64 [B, L, H]: attention of every head from the last position on ``position`` int64 [B]."""
    rows = torch.arange(len(position), device=run.tokens.device)
    at = position.to(run.tokens.device)
    weights = [run.pattern(layer)[rows, :, -1, at] for layer in range(run.stream.n_layers)]
    return torch.stack(weights, dim=1).double().cpu()


@torch.no_grad()
def output_reading(run: Run, head: Head, position: Tensor, answers: Tensor) -> Tensor:
    """float64 [B, 4]: what a head would write if it looked at ``position`` int64 [B] alone.

    Its value there through W_O, the final norm's gain and the unembedding: rank among all tokens of the correct answer, of
    the incorrect one and of the token attended to (1 is highest), and what it would add to the logit difference (with the
    run's scale at the last position).
    """
    stream, (layer, number) = run.stream, head
    rows, at = torch.arange(len(position), device=run.tokens.device), position.to(run.tokens.device)
    value = run.trace.qkv[layer][rows, at, 2, number]  # [B, E]
    written = value @ stream.weight_o[layer][number]  # [B, D]
    logits = direct_logits(stream, written)
    tokens = torch.cat([answers.to(at.device), run.tokens[rows, at][:, None]], dim=1)
    ranks = [rank_of(logits, logits.gather(1, token[:, None])) for token in tokens.unbind(1)]
    added = AnswerDirections(run, answers).logits(written)
    columns = [*ranks, added[:, :1] - added[:, 1:]]
    return torch.cat([column.double() for column in columns], dim=1).cpu()


@torch.no_grad()
def strongest_keys(run: Run, head: Head, position: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The tokens that a head's query at ``position`` int64 [B] would look at: ids int64 [B, count] and scores, best first.

    The score of a token is the attention score, before the softmax, of the key that its embedding alone makes, without a
    position (rotary: as if at the query's own).
    """
    stream, (layer, number) = run.stream, head
    keys = stream.normalise(stream.embedding) @ stream.weight_qkv[layer][1, number]
    keys = keys + stream.bias_qkv[layer][1, number]  # [V, E]
    rows, at = torch.arange(len(position), device=run.tokens.device), position.to(run.tokens.device)
    query = run.trace.qkv[layer][rows, at, 0, number]  # [B, E]
    scaling = stream.d_head**-0.5 if stream.scaling is None else stream.scaling
    best = (query @ keys.T * scaling).topk(min(count, len(keys)), dim=1)
    return best.indices.cpu(), best.values.double().cpu()


@torch.no_grad()
def bigram(run: Run, answers: Tensor) -> Tensor:
    """float64 [B, 4]: p of both answers, logit difference and the correct one's rank if no block were there.

    The last token's embedding (and position) through the final norm and the unembedding.
    """
    return read_answers(run.stream, embedded(run, torch.full((len(run.tokens),), -1)), answers)


@torch.no_grad()
def skip_trigram(run: Run, head: Head, position: Tensor, answers: Tensor) -> Tensor:
    """float64 [B, 4] as ``bigram``, with what one head writes that looks at ``position`` alone and reads the embedding there."""
    stream, (layer, number) = run.stream, head
    source = stream.normalise(embedded(run, position))
    value = source @ stream.weight_qkv[layer][2, number] + stream.bias_qkv[layer][2, number]
    state = embedded(run, torch.full_like(position, -1)) + value @ stream.weight_o[layer][number]
    return read_answers(stream, state, answers)


def embedded(run: Run, position: Tensor) -> Tensor:
    """[B, D]: token embedding and position embedding at ``position`` int64 [B]; -1 is the last."""
    length = run.shape[1]
    at = (position % length).to(run.tokens.device)
    rows = torch.arange(len(at), device=at.device)
    x = run.stream.embed(run.tokens[rows, at])
    place = run.stream.positions(0, length)
    return x + place[at] if isinstance(place, Tensor) else x
