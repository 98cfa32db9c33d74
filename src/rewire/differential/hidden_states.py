"""How far apart two models' hidden states are on the same tokens, example by example.

Definitions: docs/definitions.md, "Differential". All measures compare [B, T, D] of P with [B, T, D] of Q.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.differential.averages import dot, mean_over_tokens, mean_vector, norm


def hidden_state_measures(p: Tensor, q: Tensor, real: Tensor, positions: int) -> dict[str, Tensor]:
    """Measure -> float64 [B]; ``real``: bool [B, T]. CKA and RSA are over at most ``positions`` tokens an example.

    NaN where a measure is undefined: centred cosine and CKA for one token, RSA for fewer than three.
    """
    index, used = evenly_spaced(real, positions)
    example = torch.arange(len(index), device=index.device)[:, None]
    sample = [x[example, index] for x in (p, q)]  # [B, n, D]
    distance, centred_distance = mean_over_tokens(token_distances(p, q, real), real)
    return {
        "cosine_distance": distance,
        "centred_cosine_distance": centred_distance,
        "cka": linear_cka(sample[0], sample[1], used),
        "rsa": similarity_correlation(sample[0], sample[1], used),
    }


def token_distances(p: Tensor, q: Tensor, real: Tensor) -> Tensor:
    """[B, T, D] x 2 -> [2, B, T]: cosine distance, and that of the states less their means over the example's tokens.

    On a CPU one example after another, in the same memory, so that what is made of it stays in the cache.
    """
    at_once = 1 if p.device.type == "cpu" else len(p)
    room = torch.empty_like(p[:at_once]), torch.empty_like(p[:at_once])
    examples = zip(*(x.split(at_once) for x in (p, q, real)), strict=True)
    norms = torch.cat([squares(p, q, real, *room) for p, q, real in examples], dim=1).sqrt_()  # [6, B, T]
    return torch.stack([cosine_distance(*norms[:3]), cosine_distance(*norms[3:])])


def squares(p: Tensor, q: Tensor, real: Tensor, difference: Tensor, states: Tensor) -> Tensor:
    """[b, T, D] x 2 -> [6, b, T]: squared lengths of P, Q and Q - P, and of the same less their means over the tokens.

    ``difference``, ``states`` [b, T, D] are overwritten.
    """
    torch.sub(q, p, out=difference)
    found = [dot(x, x) for x in (p, q, difference)]
    torch.sub(p, mean_vector(p, real), out=states)
    found.append(dot(states, states))
    difference -= mean_vector(difference, real)
    states += difference
    return torch.stack([*found, dot(states, states), dot(difference, difference)])


def cosine_distance(p: Tensor, q: Tensor, apart: Tensor) -> Tensor:
    """1 - cosine of two vectors from their lengths and that of their difference: small distances keep their digits."""
    return (apart**2 - (q - p) ** 2).clamp(min=0) / (2 * p * q)


def unit(x: Tensor) -> Tensor:
    return x / norm(x)[..., None]


def evenly_spaced(real: Tensor, positions: int) -> tuple[Tensor, Tensor]:
    """Bool [B, T] -> int64 [B, n] token positions spread over each example's real tokens, bool [B, n] which of them count.

    Example by example min(length, ``positions``) of them, whatever the padding.
    """
    lengths = real.sum(dim=1, keepdim=True)  # [B, 1]
    counts = lengths.clamp(max=positions)
    place = torch.arange(int(counts.max()), device=real.device)[None]
    used = place < counts
    return (place * lengths // counts).masked_fill(~used, 0), used


def linear_cka(p: Tensor, q: Tensor, used: Tensor) -> Tensor:
    """[B, n, D] x 2 -> [B]: ||Q' P||^2 / (||P' P|| ||Q' Q||), states centred over the tokens (Kornblith et al., 2019).

    By the tokens' Gram matrices [n, n], so that the cost does not grow with D squared. Biased upwards where n < D.
    """
    grams = []
    for x in (p, q):
        centred = (x - mean_vector(x, used)) * used[..., None]
        grams.append((centred @ centred.transpose(-1, -2)).flatten(1).double())
    return cosine(*grams)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """[B, n] x 2 -> [B]."""
    both = torch.stack([a, b], dim=1)
    products = both @ both.transpose(-1, -2)  # [B, 2, 2]
    return products[:, 0, 1] / (products[:, 0, 0] * products[:, 1, 1]).sqrt()


def similarity_correlation(p: Tensor, q: Tensor, used: Tensor) -> Tensor:
    """[B, n, D] x 2 -> [B]: representational similarity analysis as Merchant et al. (2020) apply it to fine-tuning.

    Pearson correlation, over all pairs of tokens, of the cosine similarities in P with those in Q.
    """
    pairs = (used[:, :, None] & used[:, None, :]).triu(1).flatten(1)  # [B, n * n]
    deviations = []
    for x in (p, q):
        directions = unit(x)
        similarity = (directions @ directions.transpose(-1, -2)).flatten(1).double()
        deviation = similarity - mean_over_tokens(similarity, pairs)[:, None]
        deviations.append(deviation.masked_fill(~pairs, 0))
    return cosine(*deviations).masked_fill(used.sum(dim=1) < 3, float("nan"))
