"""A decoder-only transformer written as a sum over its residual stream.

Reads the weights of a ``TransformerBridge`` (one set of names for every architecture) and runs the model with
fused kernels, keeping what circuit analysis needs: q, k, v of every head, what every component writes, and the
norm inputs. Norm gains are folded into W_Q, W_K, W_V, so that q = normalised(x) @ W + b.
Shapes: B examples, T positions, H heads, E head width, D model width, V vocabulary, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.errors import InputError

KeyValue = tuple[Tensor, Tensor]  # keys and values, [B, H, T, E] each


@dataclass
class Trace:
    """What one run over a window of positions leaves behind; W = positions in the window."""

    qkv: list[Tensor] = field(default_factory=list)  # L x [B, W, 3, H, E], before attention
    z: list[Tensor] = field(default_factory=list)  # L x [B, W, H, E]: head outputs before W_O
    mlp_out: list[Tensor] = field(default_factory=list)  # L x [B, W, D]
    residual: list[Tensor] = field(default_factory=list)  # L x [B, W, D]: what the layer's attention reads
    mlp_in: list[Tensor] = field(default_factory=list)  # L x [B, W, D]: residual stream before the MLP's norm
    final: Tensor | None = None  # [B, W, D]: residual stream before the final norm


class ResidualStream:
    """The pieces of a model, callable one by one. Weights are views or copies without gradients."""

    def __init__(self, bridge: Any) -> None:
        config = bridge.cfg
        refuse_unsupported(config)
        self.bridge = bridge
        self.n_layers, self.n_heads = config.n_layers, config.n_heads
        self.d_model, self.d_head = config.d_model, config.d_head
        self.context = config.n_ctx
        self.epsilon = config.eps
        self.parallel = bool(config.parallel_attn_mlp)
        self.embedding = bridge.W_E.detach()  # [V, D]
        self.position_embedding = bridge.W_pos.detach()  # [context, D]
        self.weight_qkv: list[Tensor] = []  # L x [3, H, D, E], norm gain folded in
        self.bias_qkv: list[Tensor] = []  # L x [3, H, E]
        self.weight_o: list[Tensor] = []  # L x [H, E, D]
        self.bias_o: list[Tensor] = []  # L x [D]
        for block in bridge.blocks:
            self._fold(block)
        self.unembedding = bridge.W_U.detach().T.contiguous()  # [V, D], as a linear layer holds it
        bias = bridge.b_U
        self.unembedding_bias = None if bias is None else bias.detach()

    def _fold(self, block: Any) -> None:
        attention, gain, shift = block.attn, block.ln1.weight.detach(), block.ln1.bias.detach()
        # [3, H, D, E] and [3, H, E]
        weight = torch.stack([w.detach() for w in (attention.W_Q, attention.W_K, attention.W_V)])
        bias = torch.stack([b.detach() for b in (attention.b_Q, attention.b_K, attention.b_V)])
        bias = bias + torch.einsum("d,shde->she", shift, weight)
        self.weight_qkv.append(weight * gain[None, None, :, None])
        self.bias_qkv.append(bias)
        self.weight_o.append(attention.W_O.detach())  # [H, E, D]
        self.bias_o.append(attention.b_O.detach())  # [D]

    def embed(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] -> [B, T, D]: token embeddings, without positions."""
        return F.embedding(tokens, self.embedding)

    def positions(self, start: int, end: int) -> Tensor:
        """[end - start, D]: position embeddings of positions start..end-1."""
        return self.position_embedding[start:end]

    def normalise(self, x: Tensor) -> Tensor:
        """(x - mean) / standard deviation over the last axis; the gain is folded into what follows."""
        return F.layer_norm(x, (self.d_model,), eps=self.epsilon)

    def scale(self, x: Tensor) -> Tensor:
        """[..., 1]: the standard deviation that ``normalise`` divides by."""
        return (x.var(dim=-1, keepdim=True, unbiased=False) + self.epsilon).sqrt()

    def qkv(self, layer: int, x: Tensor) -> Tensor:
        """[B, W, D] residual stream -> [B, W, 3, H, E], every head reading the same input."""
        flat = self.weight_qkv[layer].permute(2, 0, 1, 3).reshape(self.d_model, -1)
        out = torch.addmm(self.bias_qkv[layer].reshape(-1), self.normalise(x).flatten(0, 1), flat)
        return out.view(*x.shape[:2], 3, self.n_heads, self.d_head)

    def attend(self, qkv: Tensor, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """[B, W, 3, H, E] -> z [B, W, H, E] and this window's keys and values; H may be a subset of heads."""
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # [B, H, W, E] each
        own = (k, v)
        mask = None
        if past is not None and past[0].shape[2]:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
            shape = (q.shape[2], k.shape[2])
            mask = torch.ones(shape, dtype=torch.bool, device=q.device).tril(k.shape[2] - q.shape[2])
        z = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return z.transpose(1, 2), own

    def attention_out(self, layer: int, z: Tensor) -> Tensor:
        """[B, W, H, E] -> [B, W, D]: the sum of all heads' outputs and the bias."""
        return torch.addmm(
            self.bias_o[layer], z.reshape(-1, self.d_model), self.weight_o[layer].reshape(-1, self.d_model)
        ).view(*z.shape[:2], self.d_model)

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        """[..., D] residual stream before the MLP's norm -> [..., D] what the MLP writes."""
        block = self.bridge.blocks[layer]
        normed = F.layer_norm(x, (self.d_model,), block.ln2.weight, block.ln2.bias, self.epsilon)
        return block.mlp.original_component(normed)

    def logits(self, final: Tensor) -> Tensor:
        """[..., D] residual stream before the final norm -> [..., V]."""
        norm = self.bridge.ln_final
        x = F.layer_norm(final, (self.d_model,), norm.weight, norm.bias, self.epsilon)
        return F.linear(x, self.unembedding, self.unembedding_bias)

    @torch.no_grad()
    def prefix(self, tokens: Tensor) -> list[KeyValue]:
        """Keys and values of ``tokens`` [B, w] in every layer, for a window that starts at position w."""
        keys_values: list[KeyValue] = []
        self.run(self.embed(tokens), 0, None, keys_values)
        return keys_values

    def run(
        self,
        embedding: Tensor,
        start: int,
        past: list[KeyValue] | None,
        keys_values: list[KeyValue] | None = None,
    ) -> Trace:
        """Run the blocks on token embeddings [B, W, D] at positions start..start+W-1.

        ``past``: keys and values of the positions before (from ``prefix``), None if start is 0.
        ``keys_values``: a list to fill with this window's own. Under autograd, every tensor of the trace can be
        differentiated on its own: ``mlp_in`` and ``final`` are aliases that only the norm behind them reads.
        """
        trace = Trace()
        x = embedding + self.positions(start, start + embedding.shape[1])
        for layer in range(self.n_layers):
            qkv = self.qkv(layer, x)
            z, own = self.attend(qkv, past[layer] if past else None)
            if keys_values is not None:
                keys_values.append(own)
            middle = x + self.attention_out(layer, z)
            mlp_in = (x if self.parallel else middle).view_as(x)
            mlp_out = self.mlp(layer, mlp_in)
            trace.residual.append(x)
            trace.qkv.append(qkv)
            trace.z.append(z)
            trace.mlp_in.append(mlp_in)
            trace.mlp_out.append(mlp_out)
            x = middle + mlp_out
        trace.final = x.view_as(x)
        return trace


def refuse_unsupported(config: Any) -> None:
    """InputError that names the architecture and why it cannot be written as a sum over the residual stream here."""
    name = getattr(config, "architecture", None) or "this architecture"
    reasons = {
        "its norms are not LayerNorm": config.normalization_type != "LN",
        "its positions are not a learned embedding": config.positional_embedding_type != "standard",
        "its attention is scaled by layer": bool(getattr(config, "scale_attn_by_inverse_layer_idx", False)),
        "keys and values are shared between heads": (config.n_key_value_heads or config.n_heads)
        != config.n_heads,
        "its embedding is normalised": bool(getattr(config, "post_embedding_ln", False)),
    }
    for reason, holds in reasons.items():
        if holds:
            raise InputError(f"{name} is not supported by the circuit engine yet: {reason}")
