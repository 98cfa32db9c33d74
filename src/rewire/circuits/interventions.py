"""What an ablated component writes instead: the corrupted run's output, zero, or a mean over the data.

Definitions: docs/definitions.md, "Interventions".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.residual import ResidualStream, Trace

INTERVENTIONS = ("patching", "zero", "mean", "mean-positional")


@dataclass(frozen=True)
class Constants:
    """What every source writes under ``zero``, ``mean`` or ``mean-positional``, the same for every example.

    ``embedding``: [T or 1, D]; ``z``: L x [T or 1, H, E]; ``mlp_out``: L x [T or 1, D]. T: longest example.
    """

    embedding: Tensor
    z: list[Tensor]
    mlp_out: list[Tensor]


def constants(model: Model, pairs: TokenPairs, intervention: str, batch_tokens: int) -> Constants | None:
    """The constant outputs of an intervention, None for ``patching``.

    Errors: InputError for an unknown intervention, or examples that a mean cannot be taken over: too long.

    ``mean``: over all real tokens of all clean examples; ``mean-positional``: over the examples that are long enough,
    position by position.
    """
    if intervention == "patching":
        return None
    if intervention not in INTERVENTIONS:
        raise InputError(f"intervention {intervention!r} is not one of {', '.join(INTERVENTIONS)}")
    stream = model.stream
    layers, heads = stream.n_layers, (stream.n_heads, stream.d_head)
    if intervention == "zero":
        new = stream.embedding.new_zeros
        return Constants(new(1, stream.d_model), [new(1, *heads)] * layers, [new(1, stream.d_model)] * layers)
    model.check_length(pairs.clean.shape[1])
    return mean_outputs(stream, pairs, intervention == "mean-positional", batch_tokens)


@torch.no_grad()
def mean_outputs(stream: ResidualStream, pairs: TokenPairs, positional: bool, batch_tokens: int) -> Constants:
    """Mean output of every source over the clean examples, padding left out; memory does not grow with the data.

    bfloat16 would stop counting at 256: a batch is summed in float32 at least, the batches in float64.
    """
    length, width = pairs.clean.shape[1], stream.d_model
    kept = stream.embedding.dtype
    precision = torch.promote_types(kept, torch.float32)

    def new(*shape: int) -> Tensor:
        return stream.embedding.new_zeros(shape, dtype=torch.float64)

    total = Constants(
        new(length, width),
        [new(length, stream.n_heads, stream.d_head) for _ in range(stream.n_layers)],
        [new(length, width) for _ in range(stream.n_layers)],
    )
    count = new(length)

    def add_up(_: Tensor, batch: TokenPairs) -> tuple[Tensor, Constants]:
        return sum_outputs(stream, batch.to(stream.embedding.device), precision)

    for _, (real, sums) in pairs.in_batches(batch_tokens, add_up, "mean outputs"):
        end = len(real)
        count[:end] += real
        total.embedding[:end] += sums.embedding
        for layer in range(stream.n_layers):
            total.z[layer][:end] += sums.z[layer]
            total.mlp_out[layer][:end] += sums.mlp_out[layer]

    def mean(value: Tensor) -> Tensor:
        if not positional:
            return (value.sum(0, keepdim=True) / count.sum()).to(kept)
        return (value / count.clamp(min=1).reshape(-1, *[1] * (value.dim() - 1))).to(kept)

    return Constants(mean(total.embedding), [mean(z) for z in total.z], [mean(m) for m in total.mlp_out])


def sum_outputs(
    stream: ResidualStream, batch: TokenPairs, precision: torch.dtype
) -> tuple[Tensor, Constants]:
    """How many of a batch's clean examples have a token at each position, [T], and the sums over them of what sources write."""
    real = torch.arange(batch.clean.shape[1], device=batch.clean.device) < batch.lengths[:, None]
    real = real.to(precision)  # [B, T]
    embedding = stream.embed(batch.clean)
    trace = stream.run(embedding, 0, None)
    sums = Constants(
        torch.einsum("bt,btd->td", real, embedding.to(precision)),
        [torch.einsum("bt,bthe->the", real, z.to(precision)) for z in trace.z],
        [torch.einsum("bt,btd->td", real, out.to(precision)) for out in trace.mlp_out],
    )
    return real.sum(0), sums


@torch.no_grad()
def ablated_trace(
    stream: ResidualStream, outputs: Constants, batch: int, length: int
) -> tuple[Tensor, Trace]:
    """The token embedding [B, T, D] and the trace of a model whose every source writes its constant."""

    def spread(value: Tensor) -> Tensor:
        value = value[:length] if len(value) > 1 else value.expand(length, *value.shape[1:])
        return value.expand(batch, *value.shape)

    trace = Trace()
    embedding = spread(outputs.embedding)
    x = embedding + stream.positions(0, length)
    for layer in range(stream.n_layers):
        z, mlp_out = spread(outputs.z[layer]), spread(outputs.mlp_out[layer])
        middle = x + stream.attention_out(layer, z)
        trace.residual.append(x)
        trace.qkv.append(stream.qkv(layer, x))
        trace.z.append(z)
        trace.mlp_in.append(x if stream.parallel else middle)
        trace.mlp_out.append(mlp_out)
        x = middle + mlp_out
    trace.final = x
    return embedding, trace
