"""A slow, plain oracle on Hugging Face's own GPT-2 modules: nothing of rewire's engine is used.

Every edge's input is patched explicitly, with forward hooks, in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

Patch = Callable[[str, Tensor], Tensor]  # destination name, its input [B, T, D] -> the input to use instead


class PatchedGPT2:
    """Runs GPT-2 with every destination reading its own copy of the residual stream."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        self.model = model.double().eval()
        self.heads = model.config.n_head
        self.width = model.config.n_embd // self.heads

    @torch.no_grad()
    def run(self, embedding: Tensor, patch: Patch) -> tuple[Tensor, dict[str, Tensor]]:
        """Token embeddings [B, T, D] -> logits [B, T, V] and what every source wrote [B, T, D]."""
        body = self.model.transformer
        wrote = {"input": embedding}
        x = embedding + body.wpe.weight[: embedding.shape[1]]
        for layer, block in enumerate(body.h):
            attention = self._attention(layer, block, x, patch, wrote)
            x = x + attention
            mlp = block.mlp(block.ln_2(patch(f"m{layer}", x)))
            wrote[f"m{layer}"] = mlp
            x = x + mlp
        return self.model.lm_head(body.ln_f(patch("logits", x))), wrote

    def _attention(self, layer: int, block, x: Tensor, patch: Patch, wrote: dict[str, Tensor]) -> Tensor:
        total = block.attn.c_proj.bias.expand_as(x).clone()
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        for head in range(self.heads):
            parts = []
            for number, letter in enumerate("qkv"):
                qkv = block.attn.c_attn(block.ln_1(patch(f"a{layer}.h{head}<{letter}>", x)))
                start = number * self.heads * self.width + head * self.width
                parts.append(qkv[..., start : start + self.width])
            q, k, v = parts
            scores = (q @ k.transpose(1, 2) / self.width**0.5).masked_fill(future, float("-inf"))
            z = scores.softmax(-1) @ v
            out = z @ block.attn.c_proj.weight[head * self.width : (head + 1) * self.width]
            wrote[f"a{layer}.h{head}"] = out
            total = total + out
        return total

    def embed(self, tokens: Tensor) -> Tensor:
        return self.model.transformer.wte(tokens)

    def circuit(self, clean: Tensor, corrupted: Tensor, edges: dict[str, set[str]]) -> Tensor:
        """Logits when exactly ``edges`` (destination -> sources) carry the current value, all others the corrupted."""
        _, old = self.run(self.embed(corrupted), lambda name, x: x)
        now: dict[str, Tensor] = {}
        kept_inputs = self._corrupted_inputs(corrupted)

        def patch(name: str, x: Tensor) -> Tensor:
            value = kept_inputs[name]
            for source in edges.get(name, set()):
                value = value + now[source] - old[source]
            return value

        # sources are read through ``now``, which this run fills as it goes
        body = self.model.transformer
        x = self.embed(clean)
        now["input"] = x
        for layer, block in enumerate(body.h):
            self._attention(layer, block, x, patch, now)
            now[f"m{layer}"] = block.mlp(block.ln_2(patch(f"m{layer}", x)))
        with torch.no_grad():
            return self.model.lm_head(body.ln_f(patch("logits", x)))

    def _corrupted_inputs(self, corrupted: Tensor) -> dict[str, Tensor]:
        inputs: dict[str, Tensor] = {}

        def record(name: str, x: Tensor) -> Tensor:
            inputs[name] = x
            return x

        self.run(self.embed(corrupted), record)
        return inputs


def mean_nll(logits: Tensor, tokens: Tensor, lengths: Tensor, targets: int) -> Tensor:
    """[B]: mean negative log-likelihood of the last ``targets`` tokens of each example."""
    values = []
    for row, length in enumerate(lengths.tolist()):
        positions = torch.arange(length - targets, length)
        log_p = logits[row, positions - 1].log_softmax(-1)
        values.append(-log_p[torch.arange(targets), tokens[row, positions]].mean())
    return torch.stack(values)
