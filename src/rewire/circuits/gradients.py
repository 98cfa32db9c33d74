"""Gradients of a metric where edges end or where nodes write, averaged over runs and contracted with what changes there.

How edges are fast: the gradient at q, k, v (width E) is mapped to the residual stream analytically. With the norm's gain
folded into W, and W centred,
    d(q)/d(residual) = (W g - c x_hat) / scale,   c = <g, W^T x_hat> / D
so a run leaves g and, for the correction, a scalar c a head and x_hat; the rest is done once for all runs.
Half-precision models are accumulated in float32.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.circuits.runs import PairRuns
from rewire.residual import Trace

HELD = 8  # runs whose norm corrections are kept before they meet the sources' differences: bounds memory
Component = tuple[str, int]  # "embedding", "z" or "mlp_out", and its layer


class Gradients(Protocol):
    """Collects the gradients of a batch's runs, then turns them into scores."""

    def wanted(self, trace: Trace) -> list[Tensor]:
        """The tensors of a run that gradients are needed of, beside the embedding."""

    def add(
        self, trace: Trace, at_embedding: Tensor, grads: list[Tensor], component: Component | None
    ) -> None:
        """Add one run: its gradient at the embedding and at ``wanted(trace)``.

        ``component``: the one that this run moves on its own, None if it moves everything.
        """

    def scores(self) -> Tensor:
        """Scores of every example of the batch, [B, ...]."""


def working_precision(dtype: torch.dtype) -> torch.dtype:
    """float32 for half precision, else the same."""
    return torch.promote_types(dtype, torch.float32)


def source_differences(runs: PairRuns) -> Tensor:
    """What every source writes in the ablated run minus in the clean run: [B, sources, W, D]."""
    stream, clean, ablated = runs.stream, runs.clean, runs.ablated
    precision = working_precision(stream.embedding.dtype)
    embedding = runs.ablated_embedding.to(precision) - runs.clean_embedding
    batch, window, width = embedding.shape
    heads = stream.n_heads
    delta = embedding.new_empty(batch, 1 + stream.n_layers * (heads + 1), window, width)
    delta[:, 0] = embedding
    for layer in range(stream.n_layers):
        first = 1 + layer * (heads + 1)
        z = (ablated.z[layer].to(precision) - clean.z[layer]).transpose(1, 2)  # [B, H, W, E]
        torch.matmul(z, stream.weight_o[layer].to(precision), out=delta[:, first : first + heads])
        torch.sub(ablated.mlp_out[layer].to(precision), clean.mlp_out[layer], out=delta[:, first + heads])
    return delta


class EdgeGradients:
    """Gradients at every destination, kept at the narrowest width that is exact. ``weight``: of each run."""

    def __init__(self, runs: PairRuns, graph: Graph, weight: float) -> None:
        self.stream, self.graph, self.weight = runs.stream, graph, weight
        self.delta = source_differences(runs)
        self.precision = self.delta.dtype
        self.total = self.delta.new_zeros(len(self.delta), graph.n_sources, graph.n_destinations)
        self._start()

    def _start(self) -> None:
        """Hold the gradients of no run."""
        layers = self.stream.n_layers
        self.held = 0
        self.qkv: list[Tensor | float] = [0.0] * layers  # [B, W, 3, H, E], divided by the norm's scale
        self.direct: list[Tensor | float] = [0.0] * (layers + 1)  # [B, W, D]: MLPs, then logits
        # the norm's own correction, a pair each run: c [B, W, 3, H] and x_hat [B, W, D]
        self.correction: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(layers)]

    def wanted(self, trace: Trace) -> list[Tensor]:
        assert trace.final is not None
        return [*trace.qkv, *trace.mlp_in, trace.final]

    @torch.no_grad()
    def add(
        self, trace: Trace, at_embedding: Tensor, grads: list[Tensor], component: Component | None
    ) -> None:
        layers = self.stream.n_layers
        for layer in range(layers):
            residual = trace.residual[layer].detach().to(self.precision)
            scale = self.stream.scale(residual)  # [B, W, 1]
            scaled = grads[layer] * (self.weight / scale[..., None, None])
            self.qkv[layer] = self.qkv[layer] + scaled
            # c = <g, q - bias> / D, one scalar a head and position: [B, W, 3, H]
            plain = trace.qkv[layer].detach() - self.stream.bias_qkv[layer]
            c = (scaled * plain).sum(dim=-1) / self.stream.d_model
            self.correction[layer].append((c, self.stream.normalise(residual)))
        for i in range(layers + 1):
            self.direct[i] = self.direct[i] + grads[layers + i].to(self.precision) * self.weight
        self.held += 1
        if self.held == HELD:
            self._settle()

    @torch.no_grad()
    def scores(self) -> Tensor:
        """[B, sources, destinations]"""
        if self.held:
            self._settle()
        return self.total

    def _settle(self) -> None:
        """Contract what is held with the sources' differences and add it to the total."""
        graph, stream, out = self.graph, self.stream, self.total
        for layer in range(stream.n_layers):
            readable = graph.first_source(layer)
            column = graph.first_destination(layer)
            heads = slice(column, column + 3 * stream.n_heads)
            out[:, :readable, heads] += self._contract(readable, self._at_residual(layer))
            mlp = heads.stop
            readable = int(graph.readable[mlp])
            out[:, :readable, mlp] += self._contract(readable, self.direct[layer])[..., 0]
        out[..., -1] += self._contract(graph.n_sources, self.direct[stream.n_layers])[..., 0]
        self._start()

    def _at_residual(self, layer: int) -> Tensor:
        """Gradients at q, k, v of every head mapped to the residual stream: [B, 3H, W, D]."""
        weight = self.stream.weight_qkv[layer].to(self.precision)  # [3, H, D, E]
        if self.stream.centred:  # the norm subtracts the mean over D
            weight = weight - weight.mean(dim=2, keepdim=True)
        gradient = self.qkv[layer]
        assert isinstance(gradient, Tensor)
        mapped = torch.matmul(gradient.permute(0, 2, 3, 1, 4), weight.transpose(-1, -2))  # [B, 3, H, W, D]
        for c, normalised in self.correction[layer]:
            mapped.addcmul_(c.permute(0, 2, 3, 1)[..., None], normalised[:, None, None], value=-1)
        return mapped.flatten(1, 2)

    def _contract(self, readable: int, gradient: Tensor | float) -> Tensor:
        """Sum over positions and width of delta [B, readable, W, D] times gradient [B, (n,) W, D]: [B, readable, n]."""
        assert isinstance(gradient, Tensor)
        per_destination = gradient if gradient.dim() == 4 else gradient[:, None]
        return torch.matmul(self.delta[:, :readable].flatten(2), per_destination.flatten(2).transpose(1, 2))


class NodeGradients:
    """Gradients where nodes write, for the scores of nodes and of neurons (coordinates of what a node writes).

    Heads of a layer write to the same place, so a layer has two gradients: at its attention's and its MLP's output.
    """

    def __init__(self, runs: PairRuns, weight: float, by_neuron: bool) -> None:
        self.runs, self.stream, self.weight, self.by_neuron = runs, runs.stream, weight, by_neuron
        self.precision = working_precision(self.stream.embedding.dtype)
        layers = self.stream.n_layers
        self.embedding: Tensor | float = 0.0  # [B, W, D]
        self.attention: list[Tensor | float] = [0.0] * layers  # [B, W, D]
        self.mlp: list[Tensor | float] = [0.0] * layers  # [B, W, D]

    def wanted(self, trace: Trace) -> list[Tensor]:
        return [*trace.mlp_out, *trace.mlp_in]

    @torch.no_grad()
    def add(
        self, trace: Trace, at_embedding: Tensor, grads: list[Tensor], component: Component | None
    ) -> None:
        layers = self.stream.n_layers
        if component in (None, ("embedding", 0)):
            self.embedding = self.embedding + at_embedding.to(self.precision) * self.weight
        for layer in range(layers):
            after = grads[layer].to(self.precision) * self.weight  # past the block, as the MLP's output is
            if component in (None, ("mlp_out", layer)):
                self.mlp[layer] = self.mlp[layer] + after
            if component in (None, ("z", layer)):
                # in a sequential block what the heads write goes through the MLP too
                through = (
                    0.0 if self.stream.parallel else grads[layers + layer].to(self.precision) * self.weight
                )
                self.attention[layer] = self.attention[layer] + after + through

    @torch.no_grad()
    def scores(self) -> Tensor:
        """[B, sources], or [B, sources, D] by neuron."""
        delta = source_differences(self.runs)
        heads = self.stream.n_heads
        by_neuron = delta.new_zeros(len(delta), delta.shape[1], delta.shape[3])
        by_neuron[:, 0] = (delta[:, 0] * self.embedding).sum(dim=1)
        for layer in range(self.stream.n_layers):
            first = 1 + layer * (heads + 1)
            attention = self.attention[layer]
            assert isinstance(attention, Tensor)
            by_neuron[:, first : first + heads] = torch.einsum(
                "bhwd,bwd->bhd", delta[:, first : first + heads], attention
            )
            by_neuron[:, first + heads] = (delta[:, first + heads] * self.mlp[layer]).sum(dim=1)
        return by_neuron if self.by_neuron else by_neuron.sum(dim=-1)
