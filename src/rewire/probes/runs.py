"""One run of a batch of prompts, with every activation that a patch can be taken from or put into."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from rewire.residual import KeyValue, ResidualStream, Trace


class Run:
    """The model on tokens int64 [B, T], all of one length. Shapes as in ``rewire.residual``; N: the MLP's hidden units.

    ``trace``: what every component reads and writes; ``keys_values``: rotated keys and values of every layer, from
    which another run can go on after any position.
    """

    @torch.no_grad()
    def __init__(self, stream: ResidualStream, tokens: Tensor) -> None:
        self.stream = stream
        self.tokens = tokens.to(stream.embedding.device)
        self.keys_values: list[KeyValue] = []
        self.trace: Trace = stream.run(stream.embed(self.tokens), 0, None, self.keys_values)
        self._patterns: dict[int, Tensor] = {}
        self._neurons: dict[int, Tensor] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """B and T."""
        return len(self.tokens), self.tokens.shape[1]

    def residual(self, layer: int) -> Tensor:
        """[B, T, D]: the residual stream that enters block ``layer``, or leaves the last one (``layer`` = L)."""
        if layer < self.stream.n_layers:
            return self.trace.residual[layer]
        assert self.trace.final is not None
        return self.trace.final

    def attention_out(self, layer: int) -> Tensor:
        """[B, T, D]: what all heads of a layer write, and the bias."""
        return self.stream.attention_out(layer, self.trace.z[layer])

    def pattern(self, layer: int) -> Tensor:
        """[B, H, T, T]: attention, queries then keys, kept once worked out."""
        if layer not in self._patterns:
            self._patterns[layer] = self.stream.pattern(self.trace.qkv[layer])
        return self._patterns[layer]

    @torch.no_grad()
    def neurons(self, layer: int) -> Tensor:
        """[B, T, N]: the MLP's hidden units, kept once worked out."""
        if layer not in self._neurons:
            self._neurons[layer] = self.stream.mlp_and_neurons(layer, self.trace.mlp_in[layer])[1]
        return self._neurons[layer]

    @cached_property
    def last(self) -> Tensor:
        """[B, V]: logits after the last token, in float32 at least."""
        return precise(self.stream.logits(self.residual(self.stream.n_layers)[:, -1]))


def precise(logits: Tensor) -> Tensor:
    """Half precision is measured in float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def output_matrix(stream: ResidualStream, layer: int) -> Tensor:
    """[N, D]: what each hidden unit of an MLP writes to the residual stream for each unit of its activation."""
    return stream.bridge.blocks[layer].mlp.W_out.detach()
