"""How far fine-tuning moved the weights, matrix by matrix. Definitions: docs/definitions.md, "Differential"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rewire.models import Model
from rewire.tables import schema

SCHEMA = schema(layer="int32", matrix="string", change="float64", norm_base="float64", relative="float64")
ATTENTION, MLP = ("W_Q", "W_K", "W_V", "W_O"), ("W_in", "W_gate", "W_out")


@torch.no_grad()
def weight_changes(base: Model, tuned: Model) -> list[dict[str, Any]]:
    """A row a matrix: ``change`` ||W_Q - W_P||_F, ``norm_base`` ||W_P||_F and their ratio ``relative``.

    ``layer`` is None for what belongs to no block: token (W_E) and position (W_pos) embedding, unembedding (W_U, unless
    tied to W_E). The models' shapes must agree (``comparison.check_shapes``).
    """
    rows = []
    for (layer, name, p), (_, _, q) in zip(matrices(base), matrices(tuned), strict=True):
        before = torch.linalg.vector_norm(p.double()).item()
        change = torch.linalg.vector_norm(q.double() - p.double()).item()
        relative = change / before if before else None
        rows.append(
            {"layer": layer, "matrix": name, "change": change, "norm_base": before, "relative": relative}
        )
    return rows


def matrices(model: Model) -> Iterator[tuple[int | None, str, Tensor]]:
    """(layer, name, weights) of every matrix; key-value heads that a model shares are there once."""
    stream = model.stream
    yield None, "W_E", stream.embedding
    if stream.position_embedding is not None:
        yield None, "W_pos", stream.position_embedding
    for layer, block in enumerate(stream.bridge.blocks):
        for part, names in ((block.attn, ATTENTION), (block.mlp, MLP)):
            for name in names:
                matrix = getattr(part, name, None)
                if matrix is not None:
                    yield layer, name, matrix
    if not stream.bridge.original_model.config.tie_word_embeddings:
        yield None, "W_U", stream.unembedding
