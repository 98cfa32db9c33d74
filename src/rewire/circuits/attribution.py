"""Edge attribution: how much the metric is estimated to change when one edge carries the corrupted value.

score(u->v) = mean over examples of sum over positions of <z'_u - z_u, dM/d(input of v)>, the gradient averaged over
runs whose token embedding is x' + alpha (x - x'). Definitions: docs/definitions.md, "Scores".

How it is fast: one fused forward and backward a step; the gradient at q, k, v (width E) is mapped to the residual
stream analytically. With the norm's gain folded into W, and W centred,
    d(q)/d(residual) = (W g - c x_hat) / scale,   c = <g, W^T x_hat> / D
so only <delta_u, x_hat> and a scalar c a head are needed beside the product with W.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.circuits.evaluation import evaluate
from rewire.circuits.flow_routes import flow_routes
from rewire.circuits.graph import Graph
from rewire.circuits.interventions import constants
from rewire.circuits.runs import PairRuns
from rewire.circuits.selection import Circuit, Scores
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.progress import bar
from rewire.residual import Patch, ResidualStream, Trace

GRIDS = ("left", "right", "midpoint")
METHODS = (
    "EAP",
    "EAP-IG-inputs",
    "clean-corrupted",
    "EAP-IG-activations",
    "information-flow-routes",
    "exact",
)


def interpolation(method: str, metric: str, steps: int, grid: str) -> list[float]:
    """The alphas at which gradients are averaged: 0 = corrupted, 1 = clean."""
    if method == "EAP":
        if metric == "kl":
            raise InputError(
                "method EAP with metric kl: its gradient on the clean run is 0; take EAP-IG-inputs"
            )
        return [1.0]
    if method == "clean-corrupted":
        return [1.0, 0.0]
    if method not in ("EAP-IG-inputs", "EAP-IG-activations"):
        raise InputError(f"method {method!r} is not one of {', '.join(METHODS)}")
    if grid not in GRIDS or steps < 1:
        raise InputError(
            f"{method} with {steps} steps on grid {grid!r}: steps >= 1, grid one of {', '.join(GRIDS)}"
        )
    shift = {"left": 0.0, "right": 1.0, "midpoint": 0.5}[grid]
    return [(k + shift) / steps for k in range(steps)]


def attribute(
    model: Model,
    pairs: TokenPairs,
    metric: str = "nll",
    method: str = "EAP-IG-inputs",
    steps: int = 5,
    grid: str = "left",
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> Scores:
    """Scores of every edge of ``model`` on ``pairs``: ``.values`` float32 [sources, destinations].

    ``.completeness_gap``: |integral - (M(corrupted) - M(clean))| / |M(corrupted) - M(clean)| over the mean metric.
    ``batch_tokens`` bounds memory and does not change the result: the mean is per example.
    ``intervention``: what an ablated source writes; integrated methods interpolate the pair's embeddings and need
    ``patching``. ``exact`` runs the model once an edge without it: for small models. ``information-flow-routes`` reads the clean run
    alone and no metric.
    Errors: InputError for an unknown method, grid or metric, or an example longer than the context.
    """
    stream = model.stream
    graph = model.graph
    model.check_length(pairs.clean.shape[1])
    if method == "information-flow-routes":
        return flow_routes(model, pairs, batch_tokens)
    if method == "exact":
        return exact(model, pairs, metric, batch_tokens, intervention)
    points = interpolation(method, metric, steps, grid)
    if intervention != "patching" and method in ("EAP-IG-inputs", "clean-corrupted"):
        raise InputError(f"method {method!r} needs the intervention patching, not {intervention!r}")
    outputs = constants(stream, pairs, intervention, batch_tokens)
    total = torch.zeros(graph.n_sources, graph.n_destinations, dtype=torch.float64)
    integral = change = 0.0
    with bar(len(pairs), "attribution", "pair") as progress:
        for _, batch in pairs.batches(batch_tokens):
            result = attribute_batch(PairRuns(stream, batch, outputs), graph, metric, method, points)
            total += result.scores
            integral += result.integral
            change += result.change
            progress.update(len(batch))
    gap = None
    if intervention == "patching" and method != "EAP-IG-activations":
        gap = abs(integral - change) / abs(change) if change else float("nan")
    return Scores((total / len(pairs)).float(), graph, method, metric, gap)


def exact(model: Model, pairs: TokenPairs, metric: str, batch_tokens: int, intervention: str) -> Scores:
    """Ground truth: how much the mean metric changes when one edge alone is ablated, the model run once an edge."""
    graph = model.graph
    whole = Circuit(graph.mask, graph, graph.n_edges)
    circuits = [whole]
    edges = graph.mask.nonzero().tolist()
    for u, v in edges:
        mask = graph.mask.clone()
        mask[u, v] = False
        circuits.append(Circuit(mask, graph, graph.n_edges - 1))
    values = (
        evaluate(model, circuits, pairs, [metric], batch_tokens, intervention)[metric].double().mean(dim=1)
    )
    scores = torch.zeros(graph.mask.shape)
    scores[graph.mask] = (values[1:] - values[0]).float()
    return Scores(scores, graph, "exact", metric)


def source_differences(stream: ResidualStream, embedding: Tensor, clean: Trace, corrupted: Trace) -> Tensor:
    """What every source writes in the corrupted (or ablated) run minus in the clean run: [B, sources, W, D].

    ``embedding``: [B, W, D], difference of the token embeddings.
    """
    batch, window, width = embedding.shape
    heads = stream.n_heads
    sources = 1 + stream.n_layers * (heads + 1)
    delta = embedding.new_empty(batch, sources, window, width)
    delta[:, 0] = embedding
    for layer in range(stream.n_layers):
        first = 1 + layer * (heads + 1)
        z = (corrupted.z[layer] - clean.z[layer]).transpose(1, 2)  # [B, H, W, E]
        torch.matmul(z, stream.weight_o[layer], out=delta[:, first : first + heads])
        torch.sub(corrupted.mlp_out[layer], clean.mlp_out[layer], out=delta[:, first + heads])
    return delta


@dataclass
class _BatchResult:
    """Sums over the examples of a batch."""

    scores: Tensor  # float64 [sources, destinations]
    integral: float  # <delta_input, mean gradient at the embedding>
    change: float  # M(corrupted) - M(clean)


@dataclass(frozen=True)
class _Point:
    """One run whose gradients are taken: a token embedding [B, W, D] and, for one component, what it writes instead."""

    embedding: Tensor
    patch: Patch | None = None


def inputs_points(runs: PairRuns, alphas: list[float]) -> Iterator[_Point]:
    """x' + alpha (x - x') at the token embedding, everything later flowing freely."""
    for alpha in alphas:
        yield _Point(torch.lerp(runs.corrupted_embedding, runs.clean_embedding, alpha))


def activations_points(runs: PairRuns, alphas: list[float]) -> Iterator[_Point]:
    """The clean run with the output of one component (the embedding, a layer's heads, an MLP) on the way to ablated."""
    clean, ablated = runs.clean, runs.ablated
    for alpha in alphas:
        yield _Point(torch.lerp(runs.ablated_embedding, runs.clean_embedding, alpha))
    for layer in range(runs.stream.n_layers):
        for kind, new, old in (
            ("z", ablated.z[layer], clean.z[layer]),
            ("mlp_out", ablated.mlp_out[layer], clean.mlp_out[layer]),
        ):
            for alpha in alphas:
                yield _Point(runs.clean_embedding, replacing(kind, layer, torch.lerp(new, old, alpha)))


def replacing(kind: str, layer: int, value: Tensor) -> Patch:
    """A patch that sets one component's output to ``value``."""
    return lambda name, at, current: value if (name, at) == (kind, layer) else current


def attribute_batch(
    runs: PairRuns, graph: Graph, metric: str, method: str, alphas: list[float]
) -> _BatchResult:
    """Scores of one batch, summed over its examples."""
    stream = runs.stream
    difference = runs.ablated_embedding - runs.clean_embedding
    delta = source_differences(stream, difference, runs.clean, runs.ablated)
    change = runs.measure(metric, runs.references.corrupted) - runs.measure(metric, runs.references.clean)
    points = list((activations_points if method == "EAP-IG-activations" else inputs_points)(runs, alphas))
    gradients = _Gradients(stream, graph, delta, weight=1 / len(points))
    at_embedding = torch.zeros_like(difference)
    for point in points:
        embedding = point.embedding.clone().requires_grad_()
        trace = runs.run(embedding, point.patch)
        assert trace.final is not None
        value = runs.measure(metric, runs.target_logits(trace.final)).sum()
        inputs = [embedding, *trace.qkv, *trace.mlp_in, trace.final]
        grads = torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
        at_embedding += grads[0] / len(points)
        gradients.add(trace, list(grads[1:]))
    integral = float((difference * at_embedding).double().sum())
    return _BatchResult(gradients.scores(), integral, float(change.double().sum()))


class _Gradients:
    """Gradients at every destination, averaged over steps, kept at the narrowest width that is exact."""

    def __init__(self, stream: ResidualStream, graph: Graph, delta: Tensor, weight: float) -> None:
        self.stream, self.graph, self.delta, self.weight = stream, graph, delta, weight
        self.qkv: list[Tensor | float] = [
            0.0
        ] * stream.n_layers  # [B, W, 3, H, E], divided by the norm's scale
        self.direct: list[Tensor | float] = [0.0] * (stream.n_layers + 1)  # [B, W, D]: MLPs, then logits
        # the norm's own correction: float64 [sources, 3H] a layer
        self.correction = torch.zeros(
            graph.n_sources, stream.n_layers, 3 * stream.n_heads, dtype=torch.float64
        )

    @torch.no_grad()
    def add(self, trace: Trace, grads: list[Tensor]) -> None:
        """Add one step: ``grads`` are those of trace.qkv, then trace.mlp_in, then trace.final."""
        layers = self.stream.n_layers
        for layer in range(layers):
            residual = trace.residual[layer].detach()
            scale = self.stream.scale(residual)  # [B, W, 1]
            scaled = grads[layer] * (self.weight / scale[..., None, None])
            self.qkv[layer] = self.qkv[layer] + scaled
            # c = <g, q - bias> / D, one scalar a head and position: [B, W, 3, H]
            plain = trace.qkv[layer].detach() - self.stream.bias_qkv[layer]
            c = (scaled * plain).sum(dim=-1) / self.stream.d_model
            readable = self.graph.first_source(layer)
            along = torch.einsum("bswd,bwd->sbw", self.delta[:, :readable], self.stream.normalise(residual))
            self.correction[:readable, layer] += (along.flatten(1) @ c.flatten(2).flatten(0, 1)).cpu()
        for i in range(layers + 1):
            self.direct[i] = self.direct[i] + grads[layers + i] * self.weight

    @torch.no_grad()
    def scores(self) -> Tensor:
        """float64 [sources, destinations], summed over the batch."""
        graph, stream = self.graph, self.stream
        out = torch.zeros(graph.n_sources, graph.n_destinations, dtype=torch.float64)
        for layer in range(stream.n_layers):
            readable = graph.first_source(layer)
            column = graph.first_destination(layer)
            heads = slice(column, column + 3 * stream.n_heads)
            out[:readable, heads] = (
                self._contract(readable, self._at_residual(layer)) - self.correction[:readable, layer]
            )
            mlp = column + 3 * stream.n_heads
            readable = int(graph.readable[mlp])
            out[:readable, mlp] = self._contract(readable, self.direct[layer])[:, 0]
        out[:, -1] = self._contract(graph.n_sources, self.direct[stream.n_layers])[:, 0]
        return out

    def _at_residual(self, layer: int) -> Tensor:
        """Gradients at q, k, v of every head mapped to the residual stream: [B, 3H, W, D]."""
        weight = self.stream.weight_qkv[layer]  # [3, H, D, E]
        if self.stream.centred:  # the norm subtracts the mean over D
            weight = weight - weight.mean(dim=2, keepdim=True)
        gradient = self.qkv[layer]
        assert isinstance(gradient, Tensor)
        mapped = torch.matmul(gradient.permute(0, 2, 3, 1, 4), weight.transpose(-1, -2))  # [B, 3, H, W, D]
        return mapped.flatten(1, 2)

    def _contract(self, readable: int, gradient: Tensor | float) -> Tensor:
        """Sum over examples, positions and width of delta [B, readable, W, D] times gradient [B, (n,) W, D]."""
        assert isinstance(gradient, Tensor)
        per_destination = gradient if gradient.dim() == 4 else gradient[:, None]
        product = torch.matmul(
            self.delta[:, :readable].flatten(2), per_destination.flatten(2).transpose(1, 2)
        )  # [B, readable, n]
        return product.double().sum(dim=0).cpu()
