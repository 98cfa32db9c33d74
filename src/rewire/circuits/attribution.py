"""Attribution: how much the metric is estimated to change when an edge, a node or a neuron is ablated.

score(u->v) = mean over examples of sum over positions of <z'_u - z_u, dM/d(input of v)>, the gradient averaged over
runs whose token embedding is x' + alpha (x - x'); a node's gradient is taken where it writes. One fused forward and
backward a step (``gradients``). Definitions: docs/definitions.md, "Scores".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.circuits.exact import exact
from rewire.circuits.finite import check_scores
from rewire.circuits.flow_routes import batch_routes
from rewire.circuits.gradients import Component, EdgeGradients, Gradients, NodeGradients, working_precision
from rewire.circuits.graph import Graph
from rewire.circuits.interventions import constants
from rewire.circuits.runs import PairRuns
from rewire.circuits.selection import LEVELS, Scores
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.progress import bar
from rewire.residual import Patch

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
    if metric == "accuracy":
        raise InputError("metric accuracy has no gradient: take method exact, or nll")
    if method == "EAP":
        if metric in ("kl", "kl_reverse"):
            raise InputError(
                f"method EAP with metric {metric}: its gradient on the clean run is 0; take EAP-IG-inputs"
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
    level: str = "edge",
    examples: bool = False,
) -> Scores:
    """Scores of every edge, node or neuron (``level``) of ``model`` on ``pairs``, in the metric's unit.

    ``.values``: float32 [sources, destinations], [sources] or [sources, D].
    ``.completeness_gap``: |integral - (M(corrupted) - M(clean))| / |M(corrupted) - M(clean)| over the mean metric.
    ``examples``: keep the scores of every example too (``.examples``: memory then grows with the data).
    ``batch_tokens`` bounds memory and does not change the result: the mean is per example.
    ``intervention``: what an ablated source writes; integrated methods interpolate the pair's embeddings and need
    ``patching``. ``exact`` runs the model once an edge, node or neuron without it: for small models.
    ``information-flow-routes`` reads the clean run alone, no metric, and scores edges.
    Errors: InputError for an unknown method, grid, metric or level, an example longer than the context, or scores that are
    not finite: it names the example, and where in the model that starts.
    """
    if level not in LEVELS:
        raise InputError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    model.check_pairs(pairs)
    if method == "exact":
        return exact(model, pairs, metric, batch_tokens, intervention, level, examples)
    if method == "information-flow-routes":
        if level != "edge":
            raise InputError(f"method information-flow-routes scores edges, not level {level!r}")
        metric = "none"
        batches = flow_route_batches(model, pairs, batch_tokens)
    else:
        points = interpolation(method, metric, steps, grid)
        if intervention != "patching" and method in ("EAP-IG-inputs", "clean-corrupted"):
            raise InputError(f"method {method!r} needs the intervention patching, not {intervention!r}")
        batches = gradient_batches(model, pairs, metric, method, points, batch_tokens, intervention, level)
    total = _Total(model.graph, level, len(pairs), examples)
    averaged_over = range(len(pairs)) if intervention.startswith("mean") else ()
    with bar(len(pairs), "attribution", "pair") as progress:
        for index, batch in batches:
            check_scores(model, pairs, index, batch.scores, batch.change, averaged_over)
            total.add(index, batch)
            progress.update(len(index))
    integrated = intervention == "patching" and method in ("EAP", "EAP-IG-inputs", "clean-corrupted")
    gap = total.completeness_gap() if integrated else None
    return Scores(total.mean(), model.graph, method, metric, gap, total.examples, level)


@dataclass
class _Batch:
    """What a batch of B examples adds."""

    scores: Tensor  # [B, ...]
    change: Tensor  # [B]: M(corrupted) - M(clean)
    integral: float  # <delta_input, mean gradient at the embedding>, a sum over the examples


class _Total:
    """Sums over the batches, in float64; of ``n`` examples each one's scores too, if they are to be kept."""

    def __init__(self, graph: Graph, level: str, n: int, keep: bool) -> None:
        self.edges = graph.mask if level == "edge" else None
        shape = {"edge": graph.mask.shape, "node": (graph.n_sources,)}.get(
            level, (graph.n_sources, graph.d_model)
        )
        self.sum = torch.zeros(shape, dtype=torch.float64)
        self.n, self.integral, self.change = n, 0.0, 0.0
        kept = shape if self.edges is None else (graph.n_edges,)
        self.examples = torch.empty(n, *kept) if keep else None

    def add(self, index: Tensor, batch: _Batch) -> None:
        self.sum += batch.scores.sum(dim=0, dtype=torch.float64).cpu()
        self.integral += batch.integral
        self.change += float(batch.change.sum(dtype=torch.float64))
        if self.examples is not None:
            scores = batch.scores.cpu()
            self.examples[index] = (scores if self.edges is None else scores[:, self.edges]).float()

    def mean(self) -> Tensor:
        return (self.sum / self.n).float()

    def completeness_gap(self) -> float:
        return abs(self.integral - self.change) / abs(self.change) if self.change else float("nan")


def flow_route_batches(model: Model, pairs: TokenPairs, batch_tokens: int) -> Iterator[tuple[Tensor, _Batch]]:
    """Indices of a batch's examples and their information flow routes, over all of their tokens."""
    model.check_length(pairs.clean.shape[1])

    def measure(_: Tensor, batch: TokenPairs) -> _Batch:
        routes = batch_routes(model.stream, model.graph, batch)
        return _Batch(routes, routes.new_zeros(len(routes)), 0.0)

    return pairs.in_batches(batch_tokens, measure, "attribution")


def gradient_batches(
    model: Model,
    pairs: TokenPairs,
    metric: str,
    method: str,
    alphas: list[float],
    batch_tokens: int,
    intervention: str,
    level: str,
) -> Iterator[tuple[Tensor, _Batch]]:
    """Indices of a batch's examples and their scores by a method that averages gradients over ``alphas``."""
    outputs = constants(model, pairs, intervention, batch_tokens)

    def measure(_: Tensor, batch: TokenPairs) -> _Batch:
        runs = PairRuns(model.stream, batch, outputs)
        moved = activations_points if method == "EAP-IG-activations" else inputs_points
        points = list(moved(runs, alphas))
        if level == "edge":
            gradients: Gradients = EdgeGradients(runs, model.graph, weight=1 / len(points))
        else:  # a component that moves alone is scored by its own runs
            weight = 1 / len(alphas)
            gradients = NodeGradients(runs, weight, by_neuron=level == "neuron")
        return attribute_batch(runs, metric, points, gradients)

    return pairs.in_batches(batch_tokens, measure, "attribution")


@dataclass(frozen=True)
class _Point:
    """One run whose gradients are taken: a token embedding [B, W, D] and, for one component, what it writes instead."""

    embedding: Tensor
    component: Component | None = None
    patch: Patch | None = None


def inputs_points(runs: PairRuns, alphas: list[float]) -> Iterator[_Point]:
    """x' + alpha (x - x') at the token embedding, everything later flowing freely."""
    for alpha in alphas:
        yield _Point(torch.lerp(runs.corrupted_embedding, runs.clean_embedding, alpha))


def activations_points(runs: PairRuns, alphas: list[float]) -> Iterator[_Point]:
    """The clean run with the output of one component (the embedding, a layer's heads, an MLP) on the way to ablated."""
    clean, ablated = runs.clean, runs.ablated
    for alpha in alphas:
        embedding = torch.lerp(runs.ablated_embedding, runs.clean_embedding, alpha)
        yield _Point(embedding, ("embedding", 0))
    for layer in range(runs.stream.n_layers):
        for kind, new, old in (
            ("z", ablated.z[layer], clean.z[layer]),
            ("mlp_out", ablated.mlp_out[layer], clean.mlp_out[layer]),
        ):
            for alpha in alphas:
                patch = replacing((kind, layer), torch.lerp(new, old, alpha).requires_grad_())
                yield _Point(runs.clean_embedding, (kind, layer), patch)


def replacing(component: Component, value: Tensor) -> Patch:
    """A patch that sets one component's output to ``value``."""
    return lambda name, at, current: value if (name, at) == component else current


def attribute_batch(runs: PairRuns, metric: str, points: list[_Point], gradients: Gradients) -> _Batch:
    """Scores of every example of one batch, and what the completeness gap needs."""
    precision = working_precision(runs.clean_embedding.dtype)
    difference = runs.ablated_embedding.to(precision) - runs.clean_embedding
    change = runs.measure(metric, runs.references.corrupted) - runs.measure(metric, runs.references.clean)
    integral = 0.0
    for point in points:
        at_embedding = add_run(runs, metric, point, gradients)
        integral += float((difference * at_embedding).sum(dtype=torch.float64)) / len(points)
    return _Batch(gradients.scores(), change, integral)


def add_run(runs: PairRuns, metric: str, point: _Point, gradients: Gradients) -> Tensor:
    """Add the gradients of one run to ``gradients``; its gradient at the embedding, [B, W, D].

    A function of its own, so that a run's activations are gone before the next run fills memory with its own.
    """
    embedding = point.embedding.clone().requires_grad_()
    trace = runs.run(embedding, point.patch)
    value = runs.measure(metric, runs.target_logits(trace.final)).sum()
    inputs = [embedding, *gradients.wanted(trace)]
    grads = torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
    gradients.add(trace, grads[0], list(grads[1:]), point.component)
    return grads[0]
