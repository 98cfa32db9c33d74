"""A slow, plain oracle on Hugging Face's own modules: nothing of rewire's engine is used.

Every destination (each head's q, k and v input, each MLP's input, the logits) reads its own copy of the residual
stream, patched explicitly; everything is in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import apply_rotary_pos_emb as rotate_neox
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as rotate_llama

Patch = Callable[[str, Tensor], Tensor]  # destination name, its input [B, T, D] -> the input to use instead


class Gpt2Parts:
    """Where GPT-2 keeps its pieces."""

    parallel = False

    def __init__(self, model: Any) -> None:
        self.body, self.unembed = model.transformer, model.lm_head
        self.blocks, self.final_norm = self.body.h, self.body.ln_f
        self.heads, self.groups = model.config.n_head, model.config.n_head
        self.width = model.config.n_embd // self.heads

    def embed(self, tokens: Tensor) -> Tensor:
        return self.body.wte(tokens)

    def positions(self, length: int) -> Tensor | float:
        return self.body.wpe.weight[:length]

    def norms(self, block: Any) -> tuple[Any, Any]:
        return block.ln_1, block.ln_2

    def project(self, block: Any, normed: Tensor, letter: str) -> Tensor:
        """[B, T, D] -> [B, T, heads or groups, E]"""
        return block.attn.c_attn(normed).unflatten(-1, (3, self.heads, self.width))[:, :, "qkv".index(letter)]

    def rotate(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return q, k

    def out(self, block: Any) -> tuple[Tensor, Tensor | float]:
        """W_O [H E, D] and its bias."""
        return block.attn.c_proj.weight, block.attn.c_proj.bias

    def mlp(self, block: Any) -> Any:
        return block.mlp


class NeoxParts(Gpt2Parts):
    """GPT-NeoX (Pythia): rotary positions, parallel blocks, q, k, v interleaved by head."""

    parallel = True

    def __init__(self, model: Any) -> None:
        self.body, self.unembed = (
            model.gpt_neox,
            model.embed_out if hasattr(model, "embed_out") else model.lm_head,
        )
        self.blocks, self.final_norm = self.body.layers, self.body.final_layer_norm
        self.heads = self.groups = model.config.num_attention_heads
        self.width = model.config.hidden_size // self.heads

    def embed(self, tokens: Tensor) -> Tensor:
        return self.body.embed_in(tokens)

    def positions(self, length: int) -> float:
        return 0.0

    def norms(self, block: Any) -> tuple[Any, Any]:
        return block.input_layernorm, block.post_attention_layernorm

    def project(self, block: Any, normed: Tensor, letter: str) -> Tensor:
        fused = block.attention.query_key_value(normed).unflatten(-1, (self.heads, 3, self.width))
        return fused[:, :, :, "qkv".index(letter)]

    def rotate(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.body.rotary_emb(q, torch.arange(q.shape[2])[None])
        return rotate_neox(q, k, cos, sin)

    def out(self, block: Any) -> tuple[Tensor, Tensor | float]:
        return block.attention.dense.weight.T, block.attention.dense.bias


class LlamaParts(NeoxParts):
    """Llama, Qwen2, Mistral: RMSNorm, rotary positions, gated MLP, grouped keys and values."""

    parallel = False

    def __init__(self, model: Any) -> None:
        self.body, self.unembed = model.model, model.lm_head
        self.blocks, self.final_norm = self.body.layers, self.body.norm
        self.heads, self.groups = model.config.num_attention_heads, model.config.num_key_value_heads
        self.width = model.config.hidden_size // self.heads

    def embed(self, tokens: Tensor) -> Tensor:
        return self.body.embed_tokens(tokens)

    def project(self, block: Any, normed: Tensor, letter: str) -> Tensor:
        return getattr(block.self_attn, f"{letter}_proj")(normed).unflatten(-1, (-1, self.width))

    def rotate(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.body.rotary_emb(q, torch.arange(q.shape[2])[None])
        return rotate_llama(q, k, cos, sin)

    def out(self, block: Any) -> tuple[Tensor, Tensor | float]:
        return block.self_attn.o_proj.weight.T, 0.0


PARTS = {"gpt2": Gpt2Parts, "gpt_neox": NeoxParts, "llama": LlamaParts, "qwen2": LlamaParts}


class PatchedModel:
    """Runs a model with every destination reading its own copy of the residual stream."""

    def __init__(self, model: Any) -> None:
        self.parts = PARTS[model.config.model_type](model.double().eval())

    def embed(self, tokens: Tensor) -> Tensor:
        return self.parts.embed(tokens)

    @torch.no_grad()
    def run(self, embedding: Tensor, patch: Patch, wrote: dict[str, Tensor] | None = None) -> Tensor:
        """Token embeddings [B, T, D] -> logits [B, T, V]; ``wrote`` is filled with what every source writes."""
        parts = self.parts
        wrote = {} if wrote is None else wrote
        wrote["input"] = embedding
        x = embedding + parts.positions(embedding.shape[1])
        for layer, block in enumerate(parts.blocks):
            attention = self._attention(layer, block, x, patch, wrote)
            read = x if parts.parallel else x + attention
            mlp = parts.mlp(block)(parts.norms(block)[1](patch(f"m{layer}", read)))
            wrote[f"m{layer}"] = mlp
            x = x + attention + mlp
        return parts.unembed(parts.final_norm(patch("logits", x)))

    def _attention(self, layer: int, block: Any, x: Tensor, patch: Patch, wrote: dict[str, Tensor]) -> Tensor:
        parts = self.parts
        weight, bias = parts.out(block)
        total = torch.zeros_like(x) + bias
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        for head in range(parts.heads):
            read = {}
            for letter in "qkv":
                normed = parts.norms(block)[0](patch(f"a{layer}.h{head}<{letter}>", x))
                place = head if letter == "q" else head * parts.groups // parts.heads
                read[letter] = parts.project(block, normed, letter)[:, :, place]
            q, k = parts.rotate(read["q"][:, None], read["k"][:, None])
            scores = (q[:, 0] @ k[:, 0].transpose(1, 2) / parts.width**0.5).masked_fill(future, float("-inf"))
            out = scores.softmax(-1) @ read["v"] @ weight[head * parts.width : (head + 1) * parts.width]
            wrote[f"a{layer}.h{head}"] = out
            total = total + out
        return total

    def outputs(self, tokens: Tensor) -> dict[str, Tensor]:
        """Source -> what it writes [B, T, D]."""
        wrote: dict[str, Tensor] = {}
        self.run(self.embed(tokens), lambda name, x: x, wrote)
        return wrote

    def circuit(
        self,
        clean: Tensor,
        corrupted: Tensor,
        edges: dict[str, set[str]],
        neurons: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Logits when exactly ``edges`` (destination -> sources) carry the current value, all others the corrupted.

        ``neurons``: source -> bool [D], the coordinates that are current (None: all).
        """
        inputs: dict[str, Tensor] = {}
        old: dict[str, Tensor] = {}

        def record(name: str, x: Tensor) -> Tensor:
            inputs[name] = x
            return x

        self.run(self.embed(corrupted), record, old)
        now: dict[str, Tensor] = {}

        def patch(name: str, x: Tensor) -> Tensor:
            sources = edges.get(name, set())
            share = {source: 1.0 if neurons is None else neurons[source] for source in sources}
            return inputs[name] + sum(((now[u] - old[u]) * share[u] for u in sources), 0.0)

        return self.run(self.embed(clean), patch, now)


def mean_nll(logits: Tensor, tokens: Tensor, lengths: Tensor, targets: int) -> Tensor:
    """[B]: mean negative log-likelihood of the last ``targets`` tokens of each example."""
    values = []
    for row, length in enumerate(lengths.tolist()):
        positions = torch.arange(length - targets, length)
        log_p = logits[row, positions - 1].log_softmax(-1)
        values.append(-log_p[torch.arange(targets), tokens[row, positions]].mean())
    return torch.stack(values)
