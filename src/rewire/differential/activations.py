"""Two models on the same tokens, block by block: one block of each in memory at a time. P is the base, Q the tuned one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.differential.attention import attend, out_of_range
from rewire.residual import ResidualStream


@dataclass(frozen=True)
class Block:
    """One block's activations in one model. Shapes: B examples, T positions, D model width, N neurons."""

    before: Tensor  # [B, T, D]: residual stream that enters the block
    no_attention: Tensor  # bool [B, H, T]: queries whose attention scores are out of range
    attention_out: Tensor  # [B, T, D], bias included
    neurons: Tensor  # [B, T, N]: hidden units of the MLP, after its activation function (and gate)
    mlp_out: Tensor  # [B, T, D]
    after: Tensor  # [B, T, D]: residual stream that leaves the block


def paired_blocks(
    p: ResidualStream, q: ResidualStream, tokens: Tensor, every: int = 1
) -> Iterator[tuple[Block, Block, dict[str, Tensor]]]:
    """Run both models on tokens int64 [B, T]; yield their L blocks in order, and each block's attention measures.

    The measures, and what ``every`` means, are ``attention.attend``'s: attention is worked out once, for the models'
    forward passes and for the measures. The models' shapes must agree.
    """
    states = [stream.embed(tokens) + stream.positions(0, tokens.shape[1]) for stream in (p, q)]
    for layer in range(p.n_layers):
        inputs = [attention_inputs(stream, layer, x) for stream, x in zip((p, q), states, strict=True)]
        queries, keys, values = (torch.stack(pair) for pair in zip(*inputs, strict=True))
        z, measures = attend(queries, keys, values, every)
        two = [
            finish(stream, layer, x, own.to(x.dtype), undefined)
            for stream, x, own, undefined in zip((p, q), states, z, out_of_range(queries, keys), strict=True)
        ]
        yield two[0], two[1], measures
        states = [block.after for block in two]


def attention_inputs(stream: ResidualStream, layer: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[B, T, D] -> queries, keys, values [B, H, T, E], at least float32; queries @ keys are the attention scores."""
    q, k, v = stream.qkv(layer, x).permute(2, 0, 3, 1, 4).unbind(0)
    scaling = q.shape[-1] ** -0.5 if stream.scaling is None else stream.scaling
    q, k = stream.rotate(q, 0) * scaling, stream.rotate(k, 0)
    return (q, k, v) if x.dtype == torch.float64 else (q.float(), k.float(), v.float())


def finish(stream: ResidualStream, layer: int, x: Tensor, z: Tensor, no_attention: Tensor) -> Block:
    """The rest of a block that read ``x`` [B, T, D], from its heads' outputs z [B, H, T, E]."""
    attention_out = stream.attention_out(layer, z.transpose(1, 2))
    middle = x + attention_out
    mlp_out, neurons = stream.mlp_and_neurons(layer, x if stream.parallel else middle)
    return Block(x, no_attention, attention_out, neurons, mlp_out, middle + mlp_out)
