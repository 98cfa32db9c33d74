"""Scores of the keys and values that query heads share (grouped-query attention)."""

from __future__ import annotations

from torch import Tensor

from rewire.circuits.selection import Scores
from rewire.errors import InputError


def key_value_sums(scores: Scores, n_key_value_heads: int) -> Tensor:
    """[sources, L, 2, key-value heads]: edge scores into keys, then values, summed over the query heads that share them.

    ``n_key_value_heads``: ``model.stream.n_groups``. A score is linear in the input, so the sum is the score of
    patching the input of the key-value head itself. Errors: InputError for scores that are not of edges, or a number
    of key-value heads that does not divide the heads.
    """
    graph = scores.graph
    if scores.level != "edge":
        raise InputError(f"key-value heads have edges: scores are of level {scores.level!r}")
    if n_key_value_heads < 1 or graph.n_heads % n_key_value_heads:
        raise InputError(f"{n_key_value_heads} key-value heads do not divide {graph.n_heads} heads")
    blocks = scores.values[:, :-1].unflatten(1, (graph.n_layers, 3 * graph.n_heads + 1))
    of_heads = blocks[..., :-1].unflatten(2, (3, graph.n_heads))[:, :, 1:]  # [sources, L, 2, H]
    return of_heads.unflatten(3, (n_key_value_heads, -1)).sum(dim=4)
