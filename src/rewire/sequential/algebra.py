"""Union, intersection and difference of circuits, and what they do on a task that is made of two others.

Definitions: docs/definitions.md, "Circuit algebra".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from rewire.circuits.comparison import jaccard
from rewire.circuits.scores_file import read_scored_circuit
from rewire.circuits.selection import Circuit, Scores, prune, top_n
from rewire.errors import InputError
from rewire.faithfulness.measures import normalised_interval
from rewire.faithfulness.resamples import Resamples
from rewire.models import Model, load
from rewire.pairs import TokenPairs
from rewire.sequential.measures import baselines, circuit_columns, find_circuit, interval_columns, read_task
from rewire.sequential.tables import CIRCUIT, with_interval
from rewire.tables import schema, write_table
from rewire.whole_file import replacing_folder

FOUND = ("together", "alone")
SCHEMA = schema(
    composite="string",  # task, or tasks, that the circuits are judged on, by the model that learned it
    first="string",  # its two parts, whose circuits are combined
    second="string",
    parts_found="string",  # together: in that model, on the parts' prompts; alone: in the models that learned a part each
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


@dataclass(frozen=True)
class Composite:
    """A task, or several together (``add+sub``), made of two ``parts``. ``model``: folder of the model that learned it.

    ``pairs``: task -> tables of its validation and test pairs, of the composite and the parts. ``alone``: part -> scores file
    of its circuit in the model that learned the part alone.
    """

    name: str
    parts: Sequence[str]
    model: str | Path
    pairs: Mapping[str, Sequence[str | Path]]
    alone: Mapping[str, str | Path]


def write_algebra(
    composites: Sequence[Composite], settings: Mapping[str, Any], outputs: Mapping[str, str | Path]
) -> None:
    """Judge combinations of the circuits of each composite's parts on it, beside its own circuit; a row a circuit.

    ``settings``: circuits, fraction, examples (as ``measures.find_circuit``), random, seed. ``outputs``: table, and circuits (a
    folder of scores files: what was found). Errors: InputError for a scores file of another graph than the model's.
    """
    rows: list[dict[str, Any]] = []
    with replacing_folder(outputs["circuits"]) as folder:
        for composite in composites:
            rows += composite_rows(composite, settings, folder / composite.name)
        write_table(outputs["table"], rows, SCHEMA)


def composite_rows(composite: Composite, settings: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The rows of one composite; the circuits that are found go to ``folder``."""
    model, parts = load(composite.model), composite.parts
    found = {}
    for task in (composite.name, *parts):
        file = folder / f"{task}.safetensors"
        find_circuit(model, read_task(*composite.pairs[task]), settings, file)
        found[task] = read_scored_circuit(file)
    apart = {part: read_scored_circuit(composite.alone[part]) for part in parts}
    for part, (_, circuit) in apart.items():
        if circuit.graph != model.graph:
            raise InputError(
                f"{composite.alone[part]}: a circuit of another graph than that of {composite.model}"
            )
    place = {"composite": composite.name, "first": parts[0], "second": parts[1]}
    judged = read_task(*composite.pairs[composite.name]).test
    rows = []
    for name, source in zip(FOUND, (found, apart), strict=True):
        circuits = combined(found[composite.name], *(source[part] for part in parts))
        rows += [
            place | {"parts_found": name} | row for row in judged_rows(model, circuits, judged, settings)
        ]
    return rows


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
