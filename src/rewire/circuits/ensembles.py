"""Many circuits of one graph at once, all of one size: what resamples, permutations and controls are made of.

Edges are packed: [R, edges] in the order of ``graph.mask.nonzero()``, the order of ``Scores.examples``.
Definitions: docs/definitions.md, "Evolution".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rewire.circuits.graph import Graph
from rewire.errors import InputError

BLOCK = 4_000_000  # entries [R, sources, destinations] worked on at once


@dataclass(frozen=True)
class Ensemble:
    """R circuits: ``scores`` float32 [R, edges] that they were chosen by, ``edges`` bool [R, edges]."""

    scores: Tensor
    edges: Tensor
    graph: Graph

    def __len__(self) -> int:
        return len(self.edges)

    @cached_property
    def nodes(self) -> Tensor:
        """bool [R, sources]: the sources that an edge of the circuit starts from."""
        return nodes_of(self.edges, self.graph)

    @cached_property
    def ranks(self) -> Tensor:
        """float64 [R, edges]: the ranks of the signed scores, from 1, ties at their mean."""
        return ranks(self.scores)


def ensemble(scores: Tensor, graph: Graph, size: int) -> Ensemble:
    """For each row of ``scores`` [R, edges] the circuit of ``size`` edges with the largest |score|, pruned.

    Circuits are compared at equal edge count, and pruning takes more from one circuit than from another: so the
    threshold on |score| is, for each row, the highest at which pruning leaves at least ``size`` edges. (An edge that
    completes a path may bring several.) Edges with score 0 are in no circuit.
    Errors: InputError unless 1 <= size <= number of edges.
    """
    if not 1 <= size <= graph.n_edges:
        raise InputError(f"circuits of {size} edges: the graph has {graph.n_edges}")
    kept = []
    for part in scores.split(max(1, BLOCK // graph.mask.numel())):
        entry = entry_thresholds(part.abs(), graph)
        place = (
            graph.n_edges - size
        )  # in ascending order; numpy, whose partition is ten times as fast as kthvalue
        threshold = torch.from_numpy(np.partition(entry.numpy(), place, axis=1)[:, place, None])
        kept.append((entry >= threshold) & (entry > 0))
    return Ensemble(scores, torch.cat(kept), graph)


def entry_thresholds(strength: Tensor, graph: Graph) -> Tensor:
    """[R, edges]: the highest threshold on ``strength`` (>= 0, [R, edges]) whose pruned circuit has the edge.

    Pruning to the fixed point keeps the edges on a path from the input to the logits, so an edge enters with the weakest
    edge of the strongest such path: maximin paths, node by node, from the input up and from the logits down.
    """
    readers = [(graph.destination_node == node).nonzero().squeeze(1) for node in range(graph.n_sources)]
    dense = (
        unpacked(strength, graph).permute(1, 2, 0).contiguous()
    )  # [sources, destinations, R], R side by side
    reached = torch.full((graph.n_sources, len(strength)), torch.inf)  # from the input
    for node in range(1, graph.n_sources):
        paths = torch.minimum(dense[:node, readers[node]], reached[:node, None])
        reached[node] = paths.flatten(0, 1).amax(dim=0)
    leading = torch.full((graph.n_destinations, len(strength)), torch.inf)  # to the logits
    for node in range(graph.n_sources - 1, 0, -1):
        leading[readers[node]] = torch.minimum(dense[node], leading).amax(dim=0)
    weakest = torch.minimum(torch.minimum(dense, reached[:, None]), leading)
    return weakest[graph.mask].T.contiguous()


def packed(values: Tensor, graph: Graph) -> Tensor:
    """[..., edges] of the edges that exist, from [..., sources, destinations]."""
    return values[..., graph.mask]


def unpacked(values: Tensor, graph: Graph, fill: float = 0) -> Tensor:
    """[R, sources, destinations] of ``values`` [R, edges], ``fill`` where there is no edge."""
    dense = torch.full((len(values), graph.mask.numel()), fill, dtype=values.dtype)
    dense[:, graph.mask.flatten()] = values
    return dense.view(-1, *graph.mask.shape)


def nodes_of(edges: Tensor, graph: Graph) -> Tensor:
    """bool [R, sources] of ``edges`` bool [R, edges]: the sources that an edge of the circuit starts from."""
    counts = torch.zeros(len(edges), graph.n_sources, dtype=torch.int32)
    source = graph.mask.nonzero()[:, 0]
    return counts.index_add_(1, source, edges.to(torch.int32)) > 0


def ranks(values: Tensor) -> Tensor:
    """float64 [R, n]: each of ``values`` (finite) in its row's order, from 1, ties at their mean rank.

    As scipy's ``rankdata``, which sorts stably: where ties share a rank that changes nothing, and takes longer.
    """
    array = values.numpy()
    order = np.argsort(array, axis=1)
    rising = np.take_along_axis(array, order, axis=1)
    starts = np.ones(array.shape, dtype=bool)  # of groups of equal values
    starts[:, 1:] = rising[:, 1:] != rising[:, :-1]
    first = np.flatnonzero(starts)
    size = np.diff(first, append=array.size)
    mean = np.repeat(first % array.shape[1] + (size + 1) / 2, size)
    out = np.empty(array.shape)
    np.put_along_axis(out, order, mean.reshape(array.shape), axis=1)
    return torch.from_numpy(out)
