"""At what size a circuit solves its task, beside random circuits of its size; how the circuits of two kinds differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from trained_models import ADDER, KINDS, SORT, Task, make_pairs

from rewire import statistics
from rewire.circuits import attribution, comparison, controls, evaluation, selection
from rewire.circuits.selection import Circuit, Scores

from .study import (
    INTEGRATED,
    METHODS,
    SINGLE,
    Array,
    all_right,
    judged,
    mean,
    measured,
    model_of,
    name_of,
    scores_of,
    shown,
    table,
)

DRAWS = 20
SIZES = [*range(5, 80, 5), *range(80, 172, 20), 172]
CURVE = [5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 120, 172]
RANKINGS = {"exact": "exact", "EAP-IG": INTEGRATED, "EAP": "EAP"}
COMPARED, SPLITS, SPLIT = 30, 8, 40  # edges of a compared circuit; disjoint samples a kind, pairs of each


def tables() -> Iterator[str]:
    yield solved_sizes()
    yield faithfulness_table()
    for task in (ADDER, SORT):
        yield kinds_apart(task)


def solved_at(right: Array) -> int:
    """Index of the first size from which on ``right`` [sizes] stays at 95 % of the whole model's (the last) or more."""
    short = np.flatnonzero(right < 0.95 * right[-1])
    return int(short[-1]) + 1 if len(short) else 0


def random_circuits(circuit: Circuit) -> list[Circuit]:
    generator = torch.Generator().manual_seed(0)
    return [controls.random_like(circuit, generator) for _ in range(DRAWS)]


def solved_sizes() -> str:
    """The size at which the task is solved by every ranking, and random circuits of that size and layer profile."""
    rows = []
    for kind in [*SINGLE, "sum", "list"]:
        for metric in ["nll"] if KINDS[kind].whole_answer else ["nll", "logit_diff"]:
            for name, method in RANKINGS.items():
                scores = scores_of(kind, metric, method)
                circuits = [selection.top_n(scores, n) for n in SIZES]
                right = all_right(kind, circuits)
                place = solved_at(right.mean(axis=1))
                null = all_right(kind, random_circuits(circuits[place])).mean(axis=1)
                others = [smallest(kind, part) for part in parts(scores)]
                cells = [f"{SIZES[place]}", f"{min(others)} to {max(others)}", mean(right[place])]
                rows.append([kind, metric, name, *cells, f"{np.median(null):.2f}, {null.max():.2f}"])
    fewer = f"edges, scored on {SPLIT} pairs"
    header = ["kind", "metric", "ranked by", "edges", fewer, "answers right", "random: median, best of 20"]
    return table("Size from which on 95 % of the model's answers are right (of 172 edges)", header, rows)


def smallest(kind: str, scores: Scores) -> int:
    """The size from which on 95 % of the model's answers are right."""
    right = all_right(kind, [selection.top_n(scores, n) for n in SIZES])
    return SIZES[solved_at(right.mean(axis=1))]


def parts(scores: Scores) -> Iterator[Scores]:
    """The scores of every 40 of the examples."""
    assert scores.examples is not None
    for examples in scores.examples.split(SPLIT):
        values = torch.zeros_like(scores.values)
        values[scores.graph.mask] = examples.mean(dim=0)
        yield replace(scores, values=values, examples=examples)


def normalised(circuit: Array, clean: Array, corrupted: Array, axis: int = -1) -> Array:
    """(m - b') / (b - b') of means over ``axis``: docs/definitions.md, "Faithfulness"."""
    m, b, base = (np.mean(values, axis=axis) for values in (circuit, clean, corrupted))
    return (m - base) / (b - base)


@cache
def curve(kind: str) -> list[tuple[int, statistics.Estimate, Array]]:
    """Normalised faithfulness (mean NLL) of the EAP-IG circuit at every size and of 20 random ones [20]."""
    runs = evaluation.evaluate_baselines(model_of(KINDS[kind].task), judged(kind), ["nll"])
    clean, corrupted = (runs[run]["nll"].double().numpy() for run in ("clean", "corrupted"))
    out = []
    for n in CURVE:
        circuit = selection.top_n(scores_of(kind, "nll", INTEGRATED), n)
        values = measured(kind, [circuit, *random_circuits(circuit)], "nll")
        own = statistics.estimate([values[0], clean, corrupted], normalised, resamples=1000)
        out.append((n, own, np.array([normalised(value, clean, corrupted) for value in values[1:]])))
    return out


def faithfulness_table() -> str:
    """Normalised faithfulness at a few sizes, beside the best random circuit."""
    chosen = (10, 20, 30, 40, 50, 60, 80)
    rows = []
    for kind in [*SINGLE, "sum", "list"]:
        points = [point for point in curve(kind) if point[0] in chosen]
        rows.append([kind, *(f"{shown(own.value)} ({shown(null.max())})" for _, own, null in points)])
    header = ["kind", *(f"{n} edges" for n in chosen)]
    return table(
        "Normalised faithfulness of the EAP-IG circuit (the best of 20 random circuits)", header, rows
    )


def kinds_apart(task: Task) -> str:
    """Jaccard of the leading edges of two kinds, and of two samples of one kind (the noise floor)."""
    kinds = [kind for kind in SINGLE if KINDS[kind].task is task]
    edges = {kind: leading_edges(kind) for kind in kinds}
    # sample i - 1 of one kind against sample i of the other: never the same pairs
    rows = [
        [a, *(mean([comparison.jaccard(edges[a][i - 1], edges[b][i]) for i in range(SPLITS)]) for b in kinds)]
        for a in kinds
    ]
    title = f"{name_of(task)}: Jaccard of the {COMPARED} leading edges on two samples of {SPLIT} pairs"
    return table(title, ["kind", *kinds], rows)


def leading_edges(kind: str) -> list[torch.Tensor]:
    """The leading edges (bool masks) on each of 8 disjoint samples of a kind's pairs."""
    pairs = make_pairs(kind, SPLITS * SPLIT)
    masks = []
    for i in range(SPLITS):
        sample = pairs.subset(torch.arange(i * SPLIT, (i + 1) * SPLIT))
        scores = attribution.attribute(
            model_of(KINDS[kind].task), sample, "logit_diff", **METHODS[INTEGRATED]
        )
        masks.append(selection.top_n(scores, COMPARED).mask)
    return masks
