"""Union, intersection and difference of circuits, and what they do on a task that is made of two others.

Definitions: docs/definitions.md, "Circuit algebra".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from rewire.circuits.comparison import jaccard
from rewire.circuits.scores_file import read_scores
from rewire.circuits.selection import Circuit, Scores, prune, top_n
from rewire.errors import InputError
from rewire.faithfulness.measures import normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.models import Model, load
from rewire.pairs import TokenPairs, read_pairs
from rewire.sequential.measures import baselines, circuit_columns, interval_columns
from rewire.sequential.tables import CIRCUIT, with_interval
from rewire.tables import schema, write_table

# tasks that are made of two others: whose prompts are theirs, or whose rule takes now one, now the other
COMPOSITES = {
    "add_sub": ("add", "sub"),
    "conditional_add_sub": ("add", "sub"),
}
SCHEMA = schema(
    composite="string",  # task that the circuits are judged on, by the model that learned it
    first="string",  # its two parts, whose circuits are combined
    second="string",
    circuit="string",  # one of the keys of `combined`
    **CIRCUIT,
    shared_edges="int32",  # with the composite's own circuit
    edge_jaccard="float64",  # with it
    node_jaccard="float64",
    # f minus that of the composite's own circuit, same examples resampled together
    **with_interval("lead"),
    nll="list<double>",  # [examples] of the circuit, nats
)

Combine = Callable[[Tensor, Tensor], Tensor]


def union(a: Circuit, b: Circuit) -> Circuit:
    """The edges that are in either. Both are pruned, and so is this."""
    return combined_by(a, b, lambda x, y: x | y)


def intersection(a: Circuit, b: Circuit) -> Circuit:
    """The edges that are in both, pruned: what is left of them may lead nowhere."""
    return combined_by(a, b, lambda x, y: x & y)


def difference(a: Circuit, b: Circuit) -> Circuit:
    """The edges of ``a`` that are not in ``b``, pruned."""
    return combined_by(a, b, lambda x, y: x & ~y)


def combined_by(a: Circuit, b: Circuit, combine: Combine) -> Circuit:
    """The circuit of ``combine`` of the edges of both; ``requested``: their number before pruning.

    Errors: InputError for circuits of two graphs.
    """
    if a.graph != b.graph:
        raise InputError(f"circuits of two graphs: {a.graph}, {b.graph}")
    mask = combine(a.mask, b.mask)
    return Circuit(prune(mask, a.graph), a.graph, int(mask.sum()))


def largest_within(size: int, most: int, of: Callable[[int], Circuit]) -> Circuit:
    """The circuit ``of`` k, for the largest k <= ``most`` that leaves it at most ``size`` edges; circuits grow with k."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if of(middle).n_edges <= size:
            low = middle
        else:
            high = middle - 1
    return of(low)


def combined(
    own: tuple[Scores, Circuit], first: tuple[Scores, Circuit], second: tuple[Scores, Circuit]
) -> dict[str, Circuit]:
    """Every circuit that is judged, by name. A union has more edges than its parts, so it is set beside its own size:

    ``own``: the composite's; ``first``, ``second``: its parts'; ``union``; ``own-as-union``: the composite's with as many
    edges as the union; ``union-as-own``: the union of the k best edges of either part (scores of two models or tasks differ
    in scale, so it is as many of each) with as many as the composite's own; ``intersection``; ``first-only``,
    ``second-only``: differences. As many: at most, the largest that pruning leaves.
    """
    (scores, circuit), (scores_one, one), (scores_two, two) = own, first, second
    either, most = union(one, two), circuit.graph.n_edges
    return {
        "own": circuit,
        "first": one,
        "second": two,
        "union": either,
        "own-as-union": largest_within(either.n_edges, most, lambda k: top_n(scores, k)),
        "union-as-own": largest_within(
            circuit.n_edges, most, lambda k: union(top_n(scores_one, k), top_n(scores_two, k))
        ),
        "intersection": intersection(one, two),
        "first-only": difference(one, two),
        "second-only": difference(two, one),
    }


def write_algebra(
    composite: str,
    parts: tuple[str, str],
    model: str | Path,
    scores: Mapping[str, str | Path],
    judged: str | Path,
    settings: Mapping[str, Any],
    path: str | Path,
) -> None:
    """Judge combinations of the circuits of ``parts`` on the task ``composite``, beside its own circuit; a row a circuit.

    ``model``: folder of the model that learned the composite; ``scores``: task -> scores file, of the composite and of both
    parts, each found in the model that learned that task (or all in one). ``judged``: the composite's test pairs.
    ``settings``: circuits (batch_tokens), random (circuits a null is made of), seed.
    Errors: InputError that names a task without scores, or a scores file of another graph than the model's.
    """
    bridge = load(model)
    _, pairs = read_pairs(judged)
    found = {}
    for task in (composite, *parts):
        if task not in scores:
            raise InputError(
                f"circuit algebra of {composite}: no scores of {task!r}, there are {', '.join(scores)}"
            )
        found[task] = read_scores(scores[task])
        if found[task][1].graph != bridge.graph:
            raise InputError(f"{scores[task]}: circuits of another graph than that of {model}")
    circuits = combined(found[composite], *(found[part] for part in parts))
    place = {"composite": composite, "first": parts[0], "second": parts[1]}
    rows = judged_rows(bridge, circuits, pairs, settings)
    write_table(path, [place | row for row in rows], SCHEMA)


def judged_rows(
    model: Model, circuits: Mapping[str, Circuit], pairs: TokenPairs, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A row a circuit: its faithfulness, and how it compares with ``circuits["own"]``."""
    own = circuits["own"]
    measured = {name: circuit_columns(model, circuit, pairs, settings) for name, circuit in circuits.items()}
    whole = baselines(model, pairs, settings["circuits"]["batch_tokens"])
    resamples = Resamples(len(pairs), seed=settings["seed"])
    clean, corrupted = (resamples.means(whole[run]["nll"]) for run in ("clean", "corrupted"))
    reference = resamples.means(np.array(measured["own"]["nll"]))
    rows = []
    for name, circuit in circuits.items():
        # f - f' = (m - m') / (b - b'), the normalised value of b' + m - m'
        moved = corrupted + resamples.means(np.array(measured[name]["nll"])) - reference
        rows.append(
            {
                "circuit": name,
                **measured[name],
                "shared_edges": int((circuit.mask & own.mask).sum()),
                "edge_jaccard": jaccard(circuit.mask, own.mask),
                "node_jaccard": jaccard(circuit.nodes, own.nodes),
                **interval_columns("lead", normalised_interval(moved, clean, corrupted, resamples)),
            }
        )
    return rows
