"""Information flow routes: how much of what a destination reads each source accounts for, in the clean run alone.

proximity(u, y) = max(|y|_1 - |y - z_u|_1, 0) for the residual stream y that v reads; the score is its share among all
sources of v, mean over the example's positions and over examples (Ferrando & Voita, 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.pairs import TokenPairs
from rewire.residual import ResidualStream, Trace


@torch.no_grad()
def batch_routes(stream: ResidualStream, graph: Graph, batch: TokenPairs) -> Tensor:
    """[B, sources, destinations], 0..1, of a batch's clean runs; over the sources of a destination they sum to 1.

    Positions where no source is any closer to what is read than nothing is count 0 for all of them.
    """
    batch = batch.to(stream.embedding.device)
    assert batch.lengths is not None
    real = torch.arange(batch.clean.shape[1], device=batch.clean.device) < batch.lengths[:, None]
    weight = real / batch.lengths[:, None]  # [B, T]: averages the positions
    embedding = stream.embed(batch.clean)
    trace = stream.run(embedding, 0, None)
    outputs = source_outputs(stream, embedding, trace)
    scores = weight.new_zeros(len(batch), *graph.mask.shape)
    for layer in range(stream.n_layers):
        column = graph.first_destination(layer)
        heads = slice(column, column + 3 * stream.n_heads)
        before = graph.first_source(layer)
        scores[:, :before, heads] = shares(outputs[:, :before], trace.residual[layer], weight)[..., None]
        mlp = heads.stop
        readable = int(graph.readable[mlp])
        scores[:, :readable, mlp] = shares(outputs[:, :readable], trace.mlp_in[layer], weight)
    assert trace.final is not None
    scores[..., -1] = shares(outputs, trace.final, weight)
    return scores


def source_outputs(stream: ResidualStream, embedding: Tensor, trace: Trace) -> Tensor:
    """[B, sources, T, D]: what every source writes, in float32 if the model is in half precision."""
    precision = torch.promote_types(embedding.dtype, torch.float32)
    parts = [embedding[:, None].to(precision)]
    for layer in range(stream.n_layers):
        z, weight = trace.z[layer].transpose(1, 2).to(precision), stream.weight_o[layer].to(precision)
        parts += [torch.matmul(z, weight), trace.mlp_out[layer][:, None].to(precision)]
    return torch.cat(parts, dim=1)


def shares(outputs: Tensor, read: Tensor, weight: Tensor) -> Tensor:
    """[B, sources]: each source's share of ``read`` [B, T, D] from ``outputs`` [B, sources, T, D], weighted over T."""
    read = read.to(outputs.dtype)
    size = read.abs().sum(dim=-1)  # [B, T]
    distance = torch.stack([(outputs[:, u] - read).abs().sum(dim=-1) for u in range(outputs.shape[1])], dim=1)
    proximity = (size[:, None] - distance).clamp(min=0)  # [B, sources, T]
    total = proximity.sum(dim=1, keepdim=True)
    share = proximity / torch.where(total > 0, total, torch.ones_like(total))
    return torch.einsum("bst,bt->bs", share.to(weight.dtype), weight)
