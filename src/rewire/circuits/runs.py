"""The clean and the corrupted run of one batch, over the window where they can differ."""

from __future__ import annotations

import torch
from torch import Tensor

from rewire.circuits.interventions import Constants, ablated_trace
from rewire.circuits.metrics import References, measure
from rewire.pairs import TokenPairs
from rewire.residual import KeyValue, Patch, ResidualStream, Trace


class PairRuns:
    """Both runs of B examples over the W positions from the first that differs (shared keys and values before it).

    The last token is a target and is not read, so the window ends before it.

    ``clean``, ``corrupted``: the traces; ``clean_embedding``, ``corrupted_embedding``: [B, W, D] token embeddings.
    ``ablated``, ``ablated_embedding``: what edges outside a circuit carry: the corrupted run, or ``outputs`` if given
    (then the window starts at the first token).
    """

    @torch.no_grad()
    def __init__(self, stream: ResidualStream, pairs: TokenPairs, outputs: Constants | None = None) -> None:
        self.stream = stream
        pairs = pairs.to(stream.embedding.device)
        self.start = pairs.window_start() if outputs is None else 0
        self.targets = pairs.targets()
        self.past: list[KeyValue] | None = None
        if self.start:
            self.past = stream.prefix(pairs.clean[:, : self.start])
        self.clean_embedding = stream.embed(pairs.clean[:, self.start : -1])
        self.corrupted_embedding = stream.embed(pairs.corrupted[:, self.start : -1])
        self.clean = self.run(self.clean_embedding)
        self.corrupted = self.run(self.corrupted_embedding)
        self.ablated_embedding, self.ablated = self.corrupted_embedding, self.corrupted
        if outputs is not None:
            batch, length = pairs.clean.shape
            self.ablated_embedding, self.ablated = ablated_trace(stream, outputs, batch, length - 1)
        self.references = References(
            self.target_logits(self.clean.final), self.target_logits(self.corrupted.final)
        )

    def run(self, embedding: Tensor, patch: Patch | None = None) -> Trace:
        """The model on token embeddings [B, W, D] placed in the window."""
        return self.stream.run(embedding, self.start, self.past, patch=patch)

    def target_logits(self, final: Tensor | None) -> Tensor:
        """[N, V]: logits where the N target tokens are read, from the residual stream [B, W, D] before the final norm."""
        assert final is not None
        return self.stream.logits(final[self.targets.example, self.targets.position - self.start])

    def measure(self, metric: str, logits: Tensor) -> Tensor:
        """[N, V] -> [B]: the metric of every example."""
        return measure(metric, logits, self.targets, self.references)
