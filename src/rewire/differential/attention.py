"""Attention of two models on the same tokens: entropy, divergence, inequality. P is the base, Q the tuned model.

Definitions: docs/definitions.md, "Differential". A head is never mixed with another one, nor an example.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from rewire.differential.averages import dot, mean_over_tokens

QUERIES = 32  # worked out at a time: their attention stays in the cache, and keys after the last of them are left out
LARGEST = (
    1e30  # no score may be larger: scores as low as a future key's would leave a query no key to attend to
)
MASKED = -LARGEST  # score of a future key: a finite one, so that differences of two of them are 0


def attend(queries: Tensor, keys: Tensor, values: Tensor, every: int = 1) -> tuple[Tensor, dict[str, Tensor]]:
    """Causal attention [2, B, H, T, E] of P and Q (queries scaled) -> z [2, B, H, T, E] and measures.

    Those of ``compare_attention`` are [B, H, T], one number a query; those of ``compare_spread``, which cost more, are
    [B, H, T // every], of queries every-1, 2 every-1, ...
    """
    outputs, pieces = [], []
    for scores in attention_scores(queries, keys):
        shifted = scores.sub_(scores.amax(dim=-1, keepdim=True))
        weights = shifted.exp()  # attention times ``total``
        total = weights.sum(dim=-1)
        outputs.append(weights @ values[..., : scores.shape[-1], :] / total[..., None])
        first = scores.shape[-1] - scores.shape[-2]
        measured = compare_attention(weights, shifted, total)  # leaves Q's less P's in shifted[1]
        pieces.append(measured | compare_spread(weights, shifted[1], total, first, every))
    measures = {name: torch.cat([piece[name] for piece in pieces], dim=-1) for name in pieces[0]}
    return torch.cat(outputs, dim=-2), measures


def attention_scores(queries: Tensor, keys: Tensor) -> Iterator[Tensor]:
    """[..., T, E] x 2 -> scores [..., W, S] of W queries after another, on the S keys up to the last of them."""
    length = queries.shape[-2]
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        scores = queries[..., first:last, :] @ keys[..., :last, :].transpose(-1, -2)
        future = torch.ones(last - first, last - first, dtype=torch.bool, device=scores.device).triu(1)
        scores[..., first:].masked_fill_(future, MASKED)
        yield scores


def out_of_range(queries: Tensor, keys: Tensor) -> Tensor:
    """[..., T, E] x 2 -> bool [..., T]: queries with a score that is not finite or beyond LARGEST, on a key up to their own.

    Attention is no distribution then: it is NaN, or goes to keys after the query. |q| |k| of all queries and all keys taken
    as one vector each bounds all scores and nearly always settles it.
    """
    q, k = (torch.dot(x.flatten(), x.flatten()).sqrt() for x in (queries, keys))
    if q * k < LARGEST:  # false where one is NaN
        return queries.new_zeros(queries.shape[:-1], dtype=torch.bool)
    pieces = [~(scores.abs() <= LARGEST).all(dim=-1) for scores in attention_scores(queries, keys)]
    return torch.cat(pieces, dim=-1)


def compare_attention(weights: Tensor, shifted: Tensor, total: Tensor) -> dict[str, Tensor]:
    """[2, ..., S] x 2, [2, ...] of P and Q -> measure -> [...]: entropies and KL divergences, nats.

    Attention is ``weights`` / ``total``, its logarithm ``shifted`` less that of ``total``, which is the same for all keys
    and is taken out of the sums over them. ``shifted[1]`` is overwritten with Q's less P's, so that equal attention is
    exactly 0 apart.
    """
    mean = dot(weights, shifted) / total  # [2, ...]: over attention of P and Q, of its own logarithm
    shifted[1] -= shifted[0]
    apart = dot(weights, shifted[1:]) / total  # of log Q - log P
    log_total = total.log()
    entropy = (log_total - mean).clamp_(min=0)
    apart -= log_total[1] - log_total[0]
    return {
        "entropy_base": entropy[0],
        "entropy": entropy[1],
        "attention_kl": apart[1].clamp(min=0),
        "attention_kl_reverse": -apart[0].clamp(max=0),
    }


def compare_spread(
    weights: Tensor, apart: Tensor, total: Tensor, first: int, every: int
) -> dict[str, Tensor]:
    """[2, ..., W, S] of P and Q, [..., W, S], [2, ..., W] -> measure -> [...], of every ``every``-th query.

    Attention is ``weights`` / ``total``; ``apart`` is Q's ``shifted`` less P's; ``first``: position of the first query.
    Gini coefficients, and the Jensen-Shannon divergence in nats. With d = log Q - log P, twice the latter is
    sum of -(P + Q) log((1 + exp -|d|) / 2) - min(P, Q) |d|: no large terms, and exactly 0 for equal attention.
    """
    some = slice(-(first + 1) % every, None, every)
    total = total[..., some, None]
    attention = weights[..., some, :] / total
    count = first + 1 + torch.arange(weights.shape[-2], device=weights.device)[some]
    inequality = gini(attention, count)
    log_total = total.log()
    size = (apart[..., some, :] - (log_total[1] - log_total[0])).abs_()
    less, more = torch.minimum(*attention), torch.maximum(*attention)
    both = less + more
    more.clamp_(min=torch.finfo(more.dtype).tiny)  # 0 of keys after the query, and of underflow
    ratio = less / more  # exp -|d|
    twice = -dot(both, ratio.add_(1).mul_(0.5).log_())
    twice -= dot(less, size)
    return {
        "gini_base": inequality[0],
        "gini": inequality[1],
        "attention_js": (twice / 2).clamp(min=0),
    }


def gini(attention: Tensor, count: Tensor) -> Tensor:
    """[..., W, S], zero after the first ``count`` [W] keys -> [..., W]: 0 if uniform over n keys, 1 - 1/n if on one of them.

    With n keys in ascending order: sum over i of (2i - n - 1) A_i / n.
    """
    keys = attention.shape[-1]
    rank = torch.arange(1 - keys, 1, device=attention.device, dtype=attention.dtype)  # 0 is the largest
    return (2 * (ascending(attention) @ rank) + count - 1) / count


def ascending(values: Tensor) -> Tensor:
    """``values`` sorted along the last axis; numpy's sort is 50 times as fast as torch's on a CPU."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=-1))
    return values.sort(dim=-1).values


def head_measures(by_query: dict[str, Tensor], real: Tensor, every: int = 1) -> dict[str, Tensor]:
    """Means over each example's real queries: what ``attend`` measured -> float64 [B, H]; ``real``: bool [B, T].

    Adds normalised entropies: each query divided by log(t+1), its value under uniform attention. Entropies and Gini
    coefficients leave out the first query, which can only attend to itself: an example of one token has none (NaN).
    """
    position = torch.arange(real.shape[1], device=real.device)
    uniform = torch.log(position + 1.0)
    normalised = {f"normalised_{name}": by_query[name] / uniform for name in ("entropy_base", "entropy")}
    later = real & (position >= 1)
    sampled = slice(every - 1, None, every)
    means: dict[str, Tensor] = {}
    for used, names in (
        (later, [*normalised, "entropy_base", "entropy"]),
        (real, ["attention_kl", "attention_kl_reverse"]),
        (later[:, sampled], ["gini_base", "gini"]),
        (real[:, sampled], ["attention_js"]),
    ):
        stacked = torch.stack([(by_query | normalised)[name] for name in names])  # [measures, B, H, queries]
        means |= dict(zip(names, mean_over_tokens(stacked, used[:, None]), strict=True))
    return means
