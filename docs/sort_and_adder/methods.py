"""How far every method agrees with exact patching, and where integrated gradients and exact part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import rankdata
from trained_models import KINDS, cut, make_pairs

from rewire import statistics
from rewire.circuits import evaluation, selection
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Scores
from rewire.statistics import Estimate

from .study import INTEGRATED, METHODS, SCORED, SINGLE, Array, mean, model_of, scores_of, shown, table


def tables() -> Iterator[str]:
    yield from agreement_tables()
    yield concentration()
    yield together()
    yield leading_edges()


def spearman(a: Array, b: Array) -> Array:
    """Rank correlation along the last axis."""
    ranks = [rankdata(x, axis=-1) for x in (a, b)]
    x, y = (r - r.mean(axis=-1, keepdims=True) for r in ranks)
    return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def shared(n: int) -> Callable[[Array, Array], Array]:
    """Share of the ``n`` edges of largest |score| that both have, along the last axis."""

    def share(a: Array, b: Array) -> Array:
        first, second = (rankdata(-np.abs(x), axis=-1, method="ordinal") <= n for x in (a, b))
        return (first & second).sum(-1) / n

    return share


AGREEMENT: dict[str, Callable[[Array, Array], Array]] = {
    "ρ of |score|": lambda a, b: spearman(np.abs(a), np.abs(b)),
    "ρ of the signed score": spearman,
    "shared of the first 10": shared(10),
    "shared of the first 20": shared(20),
}


def of_means(a: Scores, b: Scores, statistic: Callable[[Array, Array], Array]) -> float:
    """``statistic`` of two methods' mean scores of the edges."""
    exists = a.graph.mask
    return float(statistic(a.values[exists].numpy(), b.values[exists].numpy()))


def agreement(a: Scores, b: Scores, statistic: Callable[[Array, Array], Array]) -> Estimate:
    """The same with an interval: the examples of both are resampled together."""
    assert a.examples is not None and b.examples is not None
    first, second = a.examples.double().numpy(), b.examples.double().numpy()  # [N, edges]
    n = len(first)

    def of_examples(index: Array, axis: int = -1) -> Array:
        weights = (index[..., None] == np.arange(n)).mean(axis=-2)
        return statistic(weights @ first, weights @ second)

    return statistics.estimate([np.arange(n)], of_examples, resamples=500)


def agreement_tables() -> Iterator[str]:
    """Rank agreement with exact by kind of pair, then everything in short."""
    others = [method for method in METHODS if method != "exact"]
    first, short = next(iter(AGREEMENT)), []
    for metric in ("logit_diff", "nll"):
        rows = []
        for method in others:
            pairs = [(scores_of(kind, metric, "exact"), scores_of(kind, metric, method)) for kind in SINGLE]
            rows.append([method, *(shown(agreement(*both, AGREEMENT[first])) for both in pairs)])
            gaps = [scores.completeness_gap for _, scores in pairs if scores.completeness_gap is not None]
            spans = [
                spread([of_means(*both, statistic) for both in pairs]) for statistic in AGREEMENT.values()
            ]
            short.append([metric, method, *spans, spread(gaps, 3) if gaps else "not integrated"])
        yield table(f"{first} against exact, metric {metric}", ["method", *SINGLE], rows)
    yield table(
        "Lowest to highest of the six kinds", ["metric", "method", *AGREEMENT, "completeness gap"], short
    )


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def concentration() -> str:
    """How large the scores are in all, and over how many examples they are spread."""
    rows = []
    for metric in ("logit_diff", "nll"):
        for method in ("exact", INTEGRATED, "EAP"):
            cells = []
            for kind in SINGLE:
                scores = scores_of(kind, metric, method)
                assert scores.examples is not None
                weight = scores.examples.double().abs().sum(dim=1)  # [N]
                effective = float(weight.sum() ** 2 / (weight**2).sum())
                cells.append(f"{float(scores.values.abs().sum()):.3g} ({effective:.0f})")
            rows.append([metric, method, *cells])
    title = f"Sum of |score| over the edges (effective number of examples (Σw)²/Σw², of {SCORED})"
    return table(title, ["metric", "method", *SINGLE], rows)


GROUPS = {
    "input->a0.h*<v>": [f"input->a0.h{h}<v>" for h in range(3)],
    "a0.h*->m0": [f"a0.h{h}->m0" for h in range(3)],
    "a2.h*->m2": [f"a2.h{h}->m2" for h in range(3)],
}


def groups_of(graph: Graph) -> dict[str, list[str]]:
    """Edges that are cut together; without all edges from the input, or all to the logits, the run is the corrupted one."""
    ends = {
        "input->*": [f"input->{destination}" for destination in graph.destinations],
        "*->logits": [f"{source}->logits" for source in graph.sources],
    }
    return GROUPS | ends


def together() -> str:
    """The effect of cutting several edges at once, beside the sums of their exact and of their integrated scores."""
    metrics, rows = ("nll", "logit_diff"), []
    for kind in SINGLE:
        model, pairs = model_of(KINDS[kind].task), make_pairs(kind, SCORED)
        groups = groups_of(model.graph)
        circuits = [selection.whole(model.graph), *(cut(model.graph, edges) for edges in groups.values())]
        values = evaluation.evaluate(model, circuits, pairs, metrics)
        for number, name in enumerate(groups, start=1):
            removed = model.graph.mask & ~circuits[number].mask
            cells = []
            for metric in metrics:
                sums = [scores_of(kind, metric, m).values[removed].sum() for m in ("exact", INTEGRATED)]
                cells += [mean(values[metric][number] - values[metric][0]), *(shown(float(x)) for x in sums)]
            rows.append([kind, f"`{name}`", *cells])
    columns = [f"{metric}: {name}" for metric in metrics for name in ("together", "sum exact", "sum EAP-IG")]
    return table("Edges cut together, change of the metric", ["kind", "edges", *columns], rows)


def leading_edges(n: int = 6) -> str:
    """The edges of largest |score| by exact, the integrated score beside it."""
    rows = []
    for kind in SINGLE:
        exact, integrated = (scores_of(kind, "logit_diff", method) for method in ("exact", INTEGRATED))
        best, examples = exact.leading(n)
        for place, values in zip(best.tolist(), examples.T, strict=True):
            name = exact.graph.edge_name(*divmod(place, exact.graph.n_destinations))
            rows.append([kind, f"`{name}`", mean(values), shown(float(integrated.values.flatten()[place]))])
    return table("Leading edges, change of the logit difference", ["kind", "edge", "exact", "EAP-IG"], rows)
