"""Two circuits side by side, or many pairs at once. Definitions: docs/definitions.md, "Evolution"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rewire.circuits.ensembles import BLOCK, Ensemble, ensemble, nodes_of
from rewire.circuits.graph import Graph
from rewire.statistics import Array

SETS = tuple(
    f"{kind}_{measure}" for kind in ("edge", "node") for measure in ("jaccard", "turnover", "unshared")
)
WEIGHTED = ("weighted_jaccard", "spearman")
MEASURES = (*SETS, *WEIGHTED)
Measure = Callable[[Ensemble, Ensemble], dict[str, Tensor]]


class LayerTurnover(NamedTuple):
    """Edges that start from (``end`` is ``source``) or arrive in (``destination``) a layer."""

    end: str
    layer: int
    edges_before: int
    edges_after: int
    edges_born: int
    edges_lost: int


def jaccard(a: Tensor, b: Tensor) -> float:
    """|A and B| / |A or B| of two bool tensors of one shape; 1 if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def set_changes(before: Tensor, after: Tensor, graph: Graph) -> dict[str, Tensor]:
    """How far the circuits ``after`` are from ``before``, both bool [R, edges] packed: float64 [R] each of SETS.

    jaccard |A and B| / |A or B|; turnover |A xor B| / |A|; unshared 1 - |A and B| / k, k the larger of |A| and |B|.
    Nodes are the sources with an edge in the circuit.
    """
    return memberships({"edge": (before, after), "node": (nodes_of(before, graph), nodes_of(after, graph))})


def memberships(kinds: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The measures of ``set_changes`` for each kind, of two bool [R, members]."""
    out = {}
    for kind, (a, b) in kinds.items():
        shared, either = count(a & b), count(a | b)
        size, other = count(a), count(b)
        out[f"{kind}_jaccard"] = ratio(shared, either, 1.0)
        out[f"{kind}_turnover"] = ratio(either - shared, size, float("nan"))
        out[f"{kind}_unshared"] = 1 - ratio(shared, torch.maximum(size, other), 1.0)
    return out


def score_changes(before: Ensemble, after: Ensemble) -> dict[str, Tensor]:
    """How far all scores of two ensembles are apart, whatever their circuits: float64 [R] each of WEIGHTED.

    weighted_jaccard: sum of min / sum of max of |score|; spearman: rank correlation of the signed scores.
    """
    a, b = before.scores.double().abs(), after.scores.double().abs()
    weighted = ratio(torch.minimum(a, b).sum(dim=1), torch.maximum(a, b).sum(dim=1), 1.0)
    return {"weighted_jaccard": weighted, "spearman": correlation(before.ranks, after.ranks)}


def changes(before: Ensemble, after: Ensemble) -> dict[str, Tensor]:
    """Every measure of change between the circuits of two ensembles, pair by pair: float64 [R] each of MEASURES."""
    sets = memberships({"edge": (before.edges, after.edges), "node": (before.nodes, after.nodes)})
    return sets | score_changes(before, after)


def resampled_changes(
    examples: Tensor,
    before: Array,
    after: Array,
    graph: Graph,
    size: int,
    measure: Measure = changes,
) -> dict[str, Array]:
    """The changes between two circuits of ``size`` edges for each way to weight the examples: [R] each.

    ``examples``: scores [N, edges]; ``before``, ``after``: [R, N], what each example counts in either circuit.
    Memory does not grow with R.
    """
    rows = max(1, BLOCK // graph.mask.numel())
    parts = [
        measure(*(ensemble(torch.from_numpy(w).float() @ examples, graph, size) for w in pair))
        for pair in ((before[i : i + rows], after[i : i + rows]) for i in range(0, len(before), rows))
    ]
    return joined(parts)


def joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Array]:
    """One array a measure, [R], of what was measured block by block."""
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def turnover_counts(before: Tensor, after: Tensor, graph: Graph) -> dict[str, int]:
    """Edges and nodes born (in circuit ``after`` alone) and lost, of two circuits bool [edges]."""
    kinds = {"edges": (before, after)}
    kinds["nodes"] = (nodes_of(before[None], graph)[0], nodes_of(after[None], graph)[0])
    out = {}
    for kind, (a, b) in kinds.items():
        out[f"{kind}_born"], out[f"{kind}_lost"] = int((b & ~a).sum()), int((a & ~b).sum())
    return out


def turnover_by_layer(before: Tensor, after: Tensor, graph: Graph) -> list[LayerTurnover]:
    """Births and deaths of edges between two circuits, bool [edges], by the layer they start from and arrive in.

    ``input`` is layer -1 of the sources, ``logits`` layer L of the destinations.
    """
    source, destination = graph.mask.nonzero().T
    ends = {
        "source": (graph.source_layer[source], range(-1, graph.n_layers)),
        "destination": (graph.destination_layer[destination], range(graph.n_layers + 1)),
    }
    out = []
    for end, (layer_of, layers) in ends.items():
        for layer in layers:
            a, b = before & (layer_of == layer), after & (layer_of == layer)
            counts = (int(part.sum()) for part in (a, b, b & ~a, a & ~b))
            out.append(LayerTurnover(end, layer, *counts))
    return out


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """float64 [R]: of each row of ``a`` with that of ``b``; NaN for a constant."""
    x, y = (values - values.mean(dim=1, keepdim=True) for values in (a, b))
    return (x * y).sum(dim=1) / ((x * x).sum(dim=1) * (y * y).sum(dim=1)).sqrt()


def count(members: Tensor) -> Tensor:
    """float64 [R]: how many of each row are true."""
    return members.sum(dim=1).double()


def ratio(part: Tensor, whole: Tensor, empty: float) -> Tensor:
    """``part`` / ``whole``, and ``empty`` where ``whole`` is 0."""
    return torch.where(whole > 0, part / whole, torch.full_like(whole, empty))


def layer_change(before: Tensor, after: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
    """Sum over the edges whose source is in layer l of |s_after - s_before|, and the same over the edge count.

    ``before``, ``after``: scores [sources, destinations]. Returns two float64 [L]: raw and normalised.
    """
    moved = ((after - before).abs() * graph.mask).double().sum(dim=1)
    edges = graph.mask.double().sum(dim=1)
    raw = torch.zeros(graph.n_layers, dtype=torch.float64)
    count = torch.zeros(graph.n_layers, dtype=torch.float64)
    raw.index_add_(0, graph.source_layer[1:], moved[1:])
    count.index_add_(0, graph.source_layer[1:], edges[1:])
    return raw, raw / count
