"""A decoder-only transformer written as a sum over its residual stream.

Reads the weights of a ``TransformerBridge`` (one set of names for every architecture) and runs the model with
fused kernels, keeping what circuit analysis needs: q, k, v of every head, what every component writes, and the
norm inputs. Norm gains are folded into W_Q, W_K, W_V, so that q = normalised(x) @ W + b.
Shapes: B examples, T positions, H heads, E head width, D model width, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rewire.errors import InputError

KeyValue = tuple[Tensor, Tensor]  # keys and values, [B, H, T, E] each
Patch = Callable[[str, int, Tensor], Tensor]  # "z" or "mlp_out", layer, value -> the value to use


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
    """The pieces of a model, callable one by one. Weights are views or copies without gradients.

    Keys and values that a model shares between heads (grouped-query attention) are repeated, so that every head has
    its own q, k and v. Norms are LayerNorm or RMSNorm, positions learned or rotary.
    Errors: InputError that names the architecture if it cannot be written this way.
    """

    def __init__(self, bridge: Any) -> None:
        config = bridge.cfg
        refuse_unsupported(bridge)
        self.bridge = bridge
        self.n_layers, self.n_heads = config.n_layers, config.n_heads
        self.n_groups = (
            config.n_key_value_heads or config.n_heads
        )  # heads that have keys and values of their own
        self.d_model, self.d_head = config.d_model, config.d_head
        self.context = config.n_ctx
        self.epsilon = config.eps
        self.parallel = bool(config.parallel_attn_mlp)
        self.centred = not config.uses_rms_norm  # LayerNorm subtracts the mean, RMSNorm does not
        self.rotary = config.positional_embedding_type == "rotary"
        self.embedding = bridge.W_E.detach()  # [V, D]
        self.position_embedding = None if self.rotary else bridge.W_pos.detach()  # [context, D]
        self.scaling = getattr(bridge.blocks[0].attn.original_component, "scaling", None)
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
        attention, norm = block.attn, block.ln1.original_component
        gain = getattr(norm, "weight", None)
        gain = self.embedding.new_ones(self.d_model) if gain is None else gain.detach()
        shift = getattr(norm, "bias", None)
        weights, biases = [], []
        for letter in "QKV":
            weight = self._every_head(getattr(attention, f"W_{letter}").detach())  # [H, D, E]
            bias = getattr(attention, f"b_{letter}", None)
            if bias is None:
                bias = weight.new_zeros(self.n_heads, self.d_head)
            else:
                bias = self._every_head(bias.detach().reshape(-1, self.d_head))
            if shift is not None:
                bias = bias + torch.einsum("d,hde->he", shift.detach(), weight)
            weights.append(weight * gain[None, :, None])
            biases.append(bias)
        # laid out as [D, 3, H, E], so that all heads' q, k and v are one matrix product without a copy
        self.weight_qkv.append(torch.stack([w.transpose(0, 1) for w in weights], dim=1).permute(1, 2, 0, 3))
        self.bias_qkv.append(torch.stack(biases))
        self.weight_o.append(attention.W_O.detach())
        bias = getattr(attention, "b_O", None)
        self.bias_o.append(gain.new_zeros(self.d_model) if bias is None else bias.detach())

    def _every_head(self, x: Tensor) -> Tensor:
        """Repeat what key-value heads share: [groups, ...] -> [H, ...]; [H, ...] stays."""
        return x if len(x) == self.n_heads else x.repeat_interleave(self.n_heads // len(x), dim=0)

    def embed(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] -> [B, T, D]: token embeddings, without positions."""
        return F.embedding(tokens, self.embedding)

    def positions(self, start: int, end: int) -> Tensor | float:
        """[end - start, D]: position embeddings of positions start..end-1; 0 if positions are rotary."""
        return 0.0 if self.position_embedding is None else self.position_embedding[start:end]

    def normalise(self, x: Tensor) -> Tensor:
        """x over its scale along the last axis (LayerNorm: less its mean); the gain is folded into what follows."""
        if self.centred:
            return F.layer_norm(x, (self.d_model,), eps=self.epsilon)
        return F.rms_norm(x, (self.d_model,), eps=self.epsilon)

    def scale(self, x: Tensor) -> Tensor:
        """[..., 1]: what ``normalise`` divides by."""
        centred = x - x.mean(dim=-1, keepdim=True) if self.centred else x
        return (centred.square().mean(dim=-1, keepdim=True) + self.epsilon).sqrt()

    def qkv(self, layer: int, x: Tensor) -> Tensor:
        """[B, W, D] residual stream -> [B, W, 3, H, E], every head reading the same input."""
        flat = self.weight_qkv[layer].permute(2, 0, 1, 3).reshape(self.d_model, -1)
        out = torch.addmm(self.bias_qkv[layer].reshape(-1), self.normalise(x).flatten(0, 1), flat)
        return out.view(*x.shape[:2], 3, self.n_heads, self.d_head)

    def rotate(self, x: Tensor, start: int) -> Tensor:
        """[B, H, W, E] queries or keys at positions start..start+W-1, rotated if the model's positions are rotary."""
        if not self.rotary:
            return x
        position = torch.arange(start, start + x.shape[2], device=x.device)[None]
        cos, sin = self.bridge.rotary_emb.original_component(x, position)  # [1, W, rotated]
        turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
        half = cos.shape[-1] // 2
        swapped = torch.cat([-turned[..., half:], turned[..., :half]], dim=-1)
        return torch.cat([turned * cos + swapped * sin, rest], dim=-1)

    def attend(
        self, qkv: Tensor, start: int, past: KeyValue | None, queries: int | None = None
    ) -> tuple[Tensor, KeyValue]:
        """[B, W, 3, H, E] at positions from ``start`` -> z [B, W, H, E] and this window's rotated keys and values.

        H may be a subset of the heads. ``queries``: z of so many last positions alone, [B, queries, H, E].
        """
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # [B, H, W, E] each
        q, k = self.rotate(q, start), self.rotate(k, start)
        if queries is not None:
            q = q[:, :, -queries:]
        own = (k, v)
        mask = None
        if past is not None and past[0].shape[2]:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        if q.shape[2] < k.shape[2]:
            shape = (q.shape[2], k.shape[2])
            mask = torch.ones(shape, dtype=torch.bool, device=q.device).tril(k.shape[2] - q.shape[2])
        z = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=self.scaling
        )
        return z.transpose(1, 2), own

    def pattern(self, qkv: Tensor) -> Tensor:
        """[B, T, 3, H, E] from the first position on -> attention [B, H, T, T], queries then keys; 0 on what is later."""
        q, k, _ = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scaling = self.d_head**-0.5 if self.scaling is None else self.scaling
        scores = self.rotate(q, 0) @ self.rotate(k, 0).transpose(-1, -2) * scaling
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        return scores.masked_fill(future, float("-inf")).softmax(dim=-1)

    def attention_out(self, layer: int, z: Tensor) -> Tensor:
        """[B, W, H, E] -> [B, W, D]: the sum of all heads' outputs and the bias."""
        flat = self.weight_o[layer].reshape(-1, self.d_model)
        out = torch.addmm(self.bias_o[layer], z.reshape(-1, flat.shape[0]), flat)
        return out.view(*z.shape[:2], self.d_model)

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        """[..., D] residual stream before the MLP's norm -> [..., D] what the MLP writes."""
        block = self.bridge.blocks[layer]
        return block.mlp.original_component(block.ln2.original_component(x))

    def mlp_and_neurons(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """[..., D] before the MLP's norm -> what the MLP writes [..., D] and its N hidden units [..., N].

        A hidden unit is what the MLP's output matrix reads: after the activation function, and the gate where there is one.
        """
        kept: list[Tensor] = []
        output_matrix = self.bridge.blocks[layer].mlp.out
        hook = output_matrix.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            return self.mlp(layer, x), kept[0]
        finally:
            hook.remove()

    def logits(self, final: Tensor) -> Tensor:
        """[..., D] residual stream before the final norm -> [..., V]."""
        return F.linear(self.final_norm(final), self.unembedding, self.unembedding_bias)

    def final_norm(self, final: Tensor) -> Tensor:
        """[..., D] residual stream before the final norm -> [..., D] after it."""
        return self.bridge.ln_final.original_component(final)

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
        patch: Patch | None = None,
    ) -> Trace:
        """Run the blocks on token embeddings [B, W, D] at positions start..start+W-1.

        ``past``: keys and values of the positions before (from ``prefix``), None if start is 0.
        ``keys_values``: a list to fill with this window's own. ``patch``: may replace what heads or an MLP write.
        Under autograd, every tensor of the trace can be
        differentiated on its own: ``mlp_in`` and ``final`` are aliases that only the norm behind them reads.
        """
        trace = Trace()
        x = embedding + self.positions(start, start + embedding.shape[1])
        for layer in range(self.n_layers):
            qkv = self.qkv(layer, x)
            z, own = self.attend(qkv, start, past[layer] if past else None)
            if keys_values is not None:
                keys_values.append(own)
            if patch is not None:
                z = patch("z", layer, z)
            middle = x + self.attention_out(layer, z)
            mlp_in = (x if self.parallel else middle).view_as(x)
            mlp_out = self.mlp(layer, mlp_in)
            if patch is not None:
                mlp_out = patch("mlp_out", layer, mlp_out)
            trace.residual.append(x)
            trace.qkv.append(qkv)
            trace.z.append(z)
            trace.mlp_in.append(mlp_in)
            trace.mlp_out.append(mlp_out)
            x = middle + mlp_out
        trace.final = x.view_as(x)
        return trace


def refuse_unsupported(bridge: Any) -> None:
    """InputError that names the architecture and why it cannot be written as a sum over the residual stream here."""
    config, block = bridge.cfg, bridge.blocks[0]
    name = getattr(config, "architecture", None) or "this architecture"
    hf_config = bridge.original_model.config
    reasons = {
        f"its positions are {config.positional_embedding_type}": config.positional_embedding_type
        not in ("standard", "rotary"),
        "a block has no norm before its attention and its MLP": not (
            hasattr(block, "ln1") and hasattr(block, "ln2")
        ),
        "its blocks normalise what they write, so the residual stream is not a sum": bool(
            config.use_normalization_before_and_after
            or hasattr(block, "ln1_post")
            or hasattr(block, "ln2_post")
        ),
        "its norm gains are offsets from 1": bool(config.rmsnorm_uses_offset),
        "it normalises queries and keys": bool(config.use_qk_norm or hasattr(block.attn, "q_norm")),
        "its attention is scaled by layer": bool(config.scale_attn_by_inverse_layer_idx),
        "its embedding is normalised or scaled": bool(config.post_embedding_ln or config.scale_embedding),
        "it has experts": bool(config.num_experts),
        "its attention has a sliding window": "sliding_attention"
        in (getattr(hf_config, "layer_types", None) or []),
        "its logits are capped": config.output_logits_soft_cap > 0,
    }
    for reason, holds in reasons.items():
        if holds:
            raise InputError(f"{name} is not supported by the circuit engine: {reason}")


@torch.no_grad()
def check_against_model(stream: ResidualStream) -> None:
    """InputError that names the architecture if the decomposition's logits are not the model's own (relative 1e-3)."""
    length = min(8, stream.context)
    tokens = torch.arange(length, device=stream.embedding.device)[None] % len(stream.embedding)
    own = stream.bridge.original_model(tokens).logits.float()
    if not torch.isfinite(own).all():
        return  # broken weights: what reads the activations says where
    trace = stream.run(stream.embed(tokens), 0, None)
    assert trace.final is not None
    difference = float((stream.logits(trace.final).float() - own).norm() / own.norm())
    tolerance = 1e-3 if stream.embedding.dtype in (torch.float32, torch.float64) else 0.1
    if not difference <= tolerance:
        name = getattr(stream.bridge.cfg, "architecture", "this architecture")
        raise InputError(
            f"{name} is not supported by the circuit engine: the sum over its residual stream differs from the model's "
            f"own logits by {difference:.1e}"
        )
