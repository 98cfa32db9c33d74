"""The edge-centric hypothesis, "fine-tuning changes edges more than nodes", as a test.

Edges outnumber nodes, and a node stays in a circuit as long as one of its edges does, so edges change more by
construction: between two samples of one model, and between any two circuits. Change therefore has two reference points,
both for circuits of the same number of edges: the noise floor, where nothing but the sample of examples differs, and
replaced nodes, where the heads of each layer trade places with all of their edges. (Random circuits of as many edges
do not serve as the second: they touch nearly every node, so that two of them share nearly all.) Replaced nodes say how
much node change comes with an edge change that is due to nodes; the statistic is how much of it did not come:

    balance = E * node_replaced / edge_replaced - N,    statistic = balance - mean balance of the noise floor

with E, N = 1 - Jaccard of edges and of nodes. The null hypothesis, "edges do not change more than nodes", is a union:
nothing changes at all; edges do not leave the noise floor; nodes change as much as edges imply. It is rejected if each
part is (an intersection-union test: its level is alpha without any correction, Berger 1982), so p is the largest of

- p_noise: each example's scores are swapped between the two models at random. If nothing changed they are exchangeable,
  and the p-value is exact for any statistic and any number of examples (Phipson & Smyth 2010);
- p_edge: the share of bootstrap pairs of one model whose edges change at least as much, the larger of the two models';
- p_sampling: two-sided, from the paired bootstrap over examples of the balance, centred on what was observed, for a
  resampled circuit differs from its own original too.

The two models are fixed, the examples are the sample: a verdict is about this pair of models, not about fine-tuning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rewire import statistics
from rewire.circuits.comparison import resampled_changes, set_changes
from rewire.circuits.ensembles import Ensemble, ensemble
from rewire.circuits.graph import Graph
from rewire.circuits.noise_floor import other_examples, same_model
from rewire.circuits.rewiring import replaced_nodes, rewired_edges
from rewire.errors import InputError
from rewire.statistics import Array, Estimate

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
REPLACEMENTS = 200  # draws behind the change of replaced nodes
ROUNDING = 1e-9


class Change(NamedTuple):
    """1 - Jaccard of edges and of nodes, each [R]."""

    edge: Array
    node: Array


@dataclass(frozen=True)
class Result:
    """Changes are 1 - Jaccard, 0..1: observed, of the noise floor (mean of both models) and of replaced nodes.

    ``low``, ``high``: interval of the statistic at 1 - alpha; ``p_node``: as p_edge, of nodes.
    With fewer than 5 examples there is neither floor, statistic nor p (NaN).
    """

    examples: int
    alpha: float
    edge_change: float
    node_change: float
    edge_replaced: float
    node_replaced: float
    edge_floor: float = math.nan
    node_floor: float = math.nan
    statistic: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_noise: float = math.nan
    p_edge: float = math.nan
    p_sampling: float = math.nan
    p_node: float = math.nan

    @property
    def verdict(self) -> str:
        """``supported`` if p <= alpha; ``not supported`` if there is evidence against: edges and nodes both leave the
        noise floor, and the whole interval of the statistic lies at 0 or below.

        Else ``inconclusive``, as where no head can take another's place (nothing says how many nodes would have changed)
        and with so few examples that no p can reach alpha: to swap all of them changes nothing, so that p_noise is at
        least 2 in 2^N.
        """
        few = self.examples < statistics.MINIMUM or 2.0 ** (1 - self.examples) > self.alpha
        if few or not self.edge_replaced > 0:
            return INCONCLUSIVE
        if self.p <= self.alpha:
            return SUPPORTED
        changed_both = max(self.p_edge, self.p_node) <= self.alpha
        return NOT_SUPPORTED if changed_both and self.high <= 0 else INCONCLUSIVE


@dataclass(frozen=True)
class Pair:
    """Two models of one graph, scored on the same examples: ``before``, ``after`` float32 [N, edges]."""

    before: Tensor
    after: Tensor
    graph: Graph
    size: int
    resamples: int
    seed: int
    known_floors: Sequence[Change] | None = None

    @property
    def n(self) -> int:
        return len(self.before)

    def balance(self, change: Change) -> Array:
        """Node change that the edge change implies if nodes were replaced, minus the node change: [R]."""
        slope = self.replaced.node / self.replaced.edge if self.replaced.edge[0] > 0 else np.zeros(1)
        return slope * change.edge - change.node

    @cached_property
    def swapped(self) -> tuple[Change, bool]:
        """The observed change (row 0), then with examples swapped between the models; and whether these are all."""
        _, exact = statistics.permutations(self.n, self.resamples)
        signs = np.vstack(list(statistics.sign_flips(self.n, self.resamples, self.seed)))
        own, other = (1 + signs) / (2 * self.n), (1 - signs) / (2 * self.n)
        every = np.full((1, self.n), 1 / self.n)
        own, other = np.vstack([every, own]), np.vstack([0 * every, other])
        sides = np.hstack([own, other]), np.hstack([other, own])
        both = torch.cat([self.before, self.after])
        return changed(resampled_changes(both, *sides, self.graph, self.size, jaccards)), exact

    @cached_property
    def observed(self) -> Change:
        (edge, node), _ = self.swapped
        return Change(edge[:1], node[:1])

    @cached_property
    def replaced(self) -> Change:
        """Mean change, [1] each, if the heads of each layer trade places in the circuit of both models' mean scores.

        It treats the two models alike, as the swaps do, which keeps their p-value exact.
        """
        mean = torch.cat([self.before, self.after]).mean(dim=0, keepdim=True)
        pooled = ensemble(mean, self.graph, self.size).edges
        generator = torch.Generator().manual_seed(self.seed)
        replaced = pooled[0][replaced_nodes(self.graph, REPLACEMENTS, generator)]
        found = set_changes(pooled.expand(REPLACEMENTS, -1), replaced, self.graph)
        return changed({name: values.mean().reshape(1).numpy() for name, values in found.items()})

    @cached_property
    def floors(self) -> list[Change]:
        """The noise floor of either model."""
        if self.known_floors is not None:
            return list(self.known_floors)
        sampling = self.graph, self.size, self.resamples, self.seed, jaccards
        return [changed(same_model(examples, *sampling)) for examples in (self.before, self.after)]

    @cached_property
    def resampled(self) -> Change:
        """Both circuits from one bootstrap sample of the examples."""
        sampling = self.graph, self.size, self.resamples, self.seed + 1, jaccards
        return changed(other_examples(self.before, self.after, *sampling))

    @cached_property
    def statistic(self) -> float:
        floor = np.mean([self.balance(floor) for floor in self.floors])
        return float(self.balance(self.observed)[0] - floor)

    @cached_property
    def around(self) -> Array:
        """[R]: the statistic in the paired bootstrap, centred on what was observed."""
        balance = self.balance(self.resampled)
        return self.statistic + balance - balance.mean()

    def floor(self, kind: str) -> float:
        """Mean change of ``edge`` or ``node`` in the noise floor of both models."""
        return float(np.mean([getattr(floor, kind) for floor in self.floors]))

    def p_noise(self) -> float:
        change, exact = self.swapped
        balance = self.balance(change)
        return float(statistics.permutation_p(balance[1:] >= balance[0] - ROUNDING, exact))

    def p_floor(self, kind: str) -> float:
        """Of ``edge`` or ``node``: share of the floor's pairs that change as much, the larger of both models."""
        observed = getattr(self.observed, kind)[0] - ROUNDING
        shares = [statistics.permutation_p(getattr(floor, kind) >= observed, False) for floor in self.floors]
        return float(max(shares))

    def p_sampling(self) -> float:
        below = statistics.permutation_p(self.around <= ROUNDING, False)
        return min(1.0, 2 * float(below))


def judge(
    before: Tensor,
    after: Tensor,
    graph: Graph,
    size: int,
    alpha: float = 0.05,
    resamples: int = 1000,
    seed: int = 0,
    floors: Sequence[Change] | None = None,
) -> Result:
    """Did edges change more than nodes from ``before`` to ``after`` (scores [N, edges] on the same examples)?

    ``size``: edges of the circuits that are compared; ``floors``: the noise floors of both models if they are known
    (``changed`` of ``noise_floor.same_model``). Errors: InputError for scores that differ in size.
    """
    if before.shape != after.shape:
        raise InputError(
            f"scores {list(before.shape)} and {list(after.shape)}: not the same examples and edges"
        )
    pair = Pair(before, after, graph, size, resamples, seed, floors)
    numbers: dict[str, Any] = {"edge_change": pair.observed.edge[0], "node_change": pair.observed.node[0]}
    numbers |= {"edge_replaced": pair.replaced.edge[0], "node_replaced": pair.replaced.node[0]}
    if pair.n >= statistics.MINIMUM:
        numbers |= {f"{kind}_floor": pair.floor(kind) for kind in ("edge", "node")}
        numbers["statistic"] = pair.statistic
        numbers["low"], numbers["high"] = np.quantile(pair.around, (alpha / 2, 1 - alpha / 2))
        numbers |= {name: leg(pair) for name, leg in LEGS.items()}
        numbers["p"] = max(numbers[name] for name in LEGS)
        numbers["p_node"] = pair.p_floor("node")
    return Result(pair.n, alpha, **{name: float(value) for name, value in numbers.items()})


LEGS: dict[str, Callable[[Pair], float]] = {  # the cheapest first
    "p_noise": Pair.p_noise,
    "p_edge": lambda pair: pair.p_floor("edge"),
    "p_sampling": Pair.p_sampling,
}


def rejects(pair: Pair, alpha: float) -> bool:
    """Whether p <= alpha; no part of the test runs after one that fails."""
    return all(leg(pair) <= alpha for leg in LEGS.values())


def false_positives(
    examples: Tensor, graph: Graph, size: int, pairs: int, alpha: float = 0.05, seed: int = 0
) -> Estimate:
    """Share of ``pairs`` of one model with itself for which the test rejects, with its exact binomial interval.

    ``examples``: the model's scores [N, edges]. Both sides are bootstrap samples of its examples.
    """
    rng = np.random.default_rng(seed)
    found = 0
    for number in range(pairs):
        one, other = (torch.from_numpy(rng.integers(0, len(examples), len(examples))) for _ in range(2))
        pair = Pair(examples[one], examples[other], graph, size, enough(alpha), seed + number)
        found += rejects(pair, alpha)
    return statistics.proportion(found, pairs)


def power(
    examples: Tensor, graph: Graph, size: int, pairs: int, alpha: float = 0.05, seed: int = 0
) -> Estimate:
    """Share of ``pairs`` for which the test rejects when the edges were rewired on purpose and the nodes kept.

    One side is the model (scores ``examples`` [N, edges]), the other the same with the edges between its circuit's nodes
    exchanged (``rewired_edges``).
    """
    generator = torch.Generator().manual_seed(seed)
    circuit = ensemble(examples.mean(dim=0, keepdim=True), graph, size).edges[0]
    found = 0
    for number in range(pairs):
        rewired = examples[:, rewired_edges(circuit, graph, generator)]
        found += rejects(Pair(examples, rewired, graph, size, enough(alpha), seed + number), alpha)
    return statistics.proportion(found, pairs)


def enough(alpha: float) -> int:
    """Resamples with which p <= alpha leaves room for ten extreme ones."""
    return round(10 / alpha) - 1


def jaccards(before: Ensemble, after: Ensemble) -> dict[str, Tensor]:
    return set_changes(before.edges, after.edges, before.graph)


def changed(measures: Mapping[str, Array]) -> Change:
    return Change(1 - measures["edge_jaccard"], 1 - measures["node_jaccard"])
