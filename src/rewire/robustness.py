"""How much a circuit owes to its examples, to noise and to the kind of corruption. Definitions: "Robustness"."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rewire import statistics
from rewire.circuits import attribution
from rewire.circuits.comparison import resampled_changes, set_changes
from rewire.circuits.ensembles import Ensemble, ensemble, packed
from rewire.circuits.graph import Graph
from rewire.circuits.noise_floor import centred, interval, other_examples
from rewire.circuits.resampling import split_weights
from rewire.circuits.selection import Scores
from rewire.corruption import Material, corrupt
from rewire.errors import InputError
from rewire.models import Model, load, randomly_initialised
from rewire.pairs import TokenPairs, read_pairs
from rewire.statistics import Array
from rewire.tables import read_table, schema, write_table

log = logging.getLogger(__name__)

AGREEMENT = schema(
    model="string",
    study="string",
    first="string",
    second="string",
    examples="int32",
    edges="int32",
    edge_jaccard="float64",
    node_jaccard="float64",
    edge_low="float64",
    edge_high="float64",
    node_low="float64",
    node_high="float64",
    effect="float64",
    effect_low="float64",
    effect_high="float64",
    edge_mean_low="float64",
    edge_mean_high="float64",
    node_mean_low="float64",
    node_mean_high="float64",
)
EDGES = schema(
    model="string",
    edge="string",
    examples="int32",
    score="float64",
    score_low="float64",
    score_high="float64",
    inclusion="float64",
    in_circuit="bool",
)
RANDOM = "random weights"
NESTED = 100, 10  # resamples, and pairs of resamples of each, behind the interval of the mean Jaccard
Rows = Iterator[dict[str, Any]]


def write_robustness(
    checkpoints: Mapping[str, str | Path],
    pairs: Mapping[str, str | Path],
    corruption: str,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
    agreement: str | Path,
    edges: str | Path,
) -> None:
    """Compare circuits of the same model under other examples, noise and corruptions; two tables.

    ``checkpoints``: name -> folder, the base first, the most trained last; ``pairs``: corruption -> pair table, of which
    ``corruption`` is the circuits' own. ``circuits``: the circuits' settings (method, steps, grid, metric, fraction,
    batch_tokens). ``settings``: splits, resamples, noise_shares, seed.
    ``agreement``: a row for each two circuits compared (``study``: split, bootstrap, noise, corruption; ``effect``: how
    much the first one's pairs change the metric; ``edge_low``, ..., ``effect_high``: intervals over the examples, of
    noise and corruption; ``edge_mean_low``, ...: interval of the mean over the bootstrap's rows).
    ``edges``: each edge's score with its bootstrap interval, and the share of the bootstrap circuits that it is in.
    With fewer than 5 examples there is no bootstrap, with fewer than ``splits`` one split row without numbers.
    """
    rows: list[dict[str, Any]] = []
    edge_rows: list[dict[str, Any]] = []
    _, own = read_pairs(pairs[corruption])
    first, last = next(iter(checkpoints.values())), list(checkpoints)[-1]
    for name in [*checkpoints, RANDOM]:
        model = randomly_initialised(first, settings["seed"]) if name == RANDOM else load(checkpoints[name])
        scores = score(model, own, circuits)
        size = max(1, round(circuits["fraction"] * model.graph.n_edges))
        resampled = bootstrap_circuits(scores, size, settings)
        found = [*split_rows(scores, size, settings)]
        if resampled is not None:
            found += bootstrap_rows(scores, size, resampled, settings["seed"])
        if name == last:
            found += noise_rows(model, pairs[corruption], scores, size, circuits, settings)
            each = {
                other: scores if other == corruption else score(model, read_pairs(table)[1], circuits)
                for other, table in pairs.items()
            }
            found += corruption_rows(each, size, settings)
        rows += [{"model": name, "examples": len(own), **row} for row in found]
        found = [*inclusion_rows(scores, size, resampled, settings["seed"])]
        edge_rows += [{"model": name, "examples": len(own), **row} for row in found]
    write_table(agreement, rows, AGREEMENT)
    write_table(edges, edge_rows, EDGES)


def score(model: Model, pairs: TokenPairs, circuits: Mapping[str, Any]) -> Scores:
    """Edge scores as the circuits stage takes them, each example's kept."""
    options = {key: circuits[key] for key in ("metric", "method", "steps", "grid", "batch_tokens")}
    return attribution.attribute(model, pairs, **options, examples=True)


def examples_of(scores: Scores) -> Tensor:
    """float32 [N, edges]: each example's scores."""
    assert scores.examples is not None
    return scores.examples


def circuit_of(scores: Scores, size: int) -> Tensor:
    """bool [1, edges]: the circuit of all examples."""
    return ensemble(packed(scores.values, scores.graph)[None], scores.graph, size).edges


def circuits_of(scores: Scores, size: int, weights: Array) -> Ensemble:
    """The circuits of each way to weight the examples, ``weights`` [R, N]; no model is run."""
    return ensemble(torch.from_numpy(weights).float() @ examples_of(scores), scores.graph, size)


def compared(
    study: str, names: Sequence[tuple[str, str]], first: Tensor, second: Tensor, graph: Graph
) -> Rows:
    """Rows of the agreement table: circuits ``first`` and ``second``, bool [R, edges], pair by pair."""
    measured = set_changes(first, second, graph)
    for row, (one, other) in enumerate(names):
        yield {
            "study": study,
            "first": one,
            "second": other,
            "edges": int(first[row].sum()),
            **{name: float(measured[name][row]) for name in ("edge_jaccard", "node_jaccard")},
        }


def split_rows(scores: Scores, size: int, settings: Mapping[str, Any]) -> Rows:
    """Every two of the circuits of disjoint parts of the examples; one row without numbers where there are too few."""
    n, parts = len(examples_of(scores)), settings["splits"]
    if n < parts:
        log.warning("%d examples cannot be split into %d parts: no splits", n, parts)
        yield {"study": "split"}
        return
    found = circuits_of(scores, size, split_weights(n, parts, settings["seed"])).edges
    first, second = (list(side) for side in zip(*combinations(range(parts), 2), strict=True))
    names = [(str(a), str(b)) for a, b in zip(first, second, strict=True)]
    yield from compared("split", names, found[first], found[second], scores.graph)


def bootstrap_circuits(scores: Scores, size: int, settings: Mapping[str, Any]) -> Tensor | None:
    """bool [R, edges]: circuits of resampled examples; None for fewer than 5, whose resamples say nothing."""
    n = len(examples_of(scores))
    if n < statistics.MINIMUM:
        log.warning("%d examples: no bootstrap circuits below %d", n, statistics.MINIMUM)
        return None
    weights = statistics.bootstrap_weights(n, settings["resamples"], settings["seed"])
    return circuits_of(scores, size, weights).edges


def bootstrap_rows(scores: Scores, size: int, resampled: Tensor, seed: int) -> Rows:
    """The resamples two by two, each in one pair alone: given the examples the pairs are independent."""
    first = list(range(0, len(resampled) - 1, 2))
    names = [(str(a), str(a + 1)) for a in first]
    second = [a + 1 for a in first]
    rows = list(compared("bootstrap", names, resampled[first], resampled[second], scores.graph))
    intervals = mean_intervals(scores, size, rows, seed)
    for row in rows:
        yield row | intervals


def mean_intervals(
    scores: Scores, size: int, rows: Sequence[Mapping[str, Any]], seed: int
) -> dict[str, float]:
    """Interval over examples of the mean Jaccard of the bootstrap ``rows``: resamples are resampled two by two."""
    examples, (outer, inner) = examples_of(scores), NESTED
    weights = statistics.nested_weights(len(examples), outer, 2 * inner, seed)
    first, second = (weights[:, half::2].reshape(outer * inner, -1) for half in (0, 1))
    drawn = resampled_changes(examples, first, second, scores.graph, size, sets)
    out: dict[str, float] = {}
    for kind in ("edge", "node"):
        name = f"{kind}_jaccard"
        mean = sum(row[name] for row in rows) / len(rows)
        found = statistics.nested_interval(mean, drawn[name].reshape(outer, inner), len(examples), len(rows))
        out |= {f"{kind}_mean_low": max(0.0, found.low), f"{kind}_mean_high": min(1.0, found.high)}
    return out


def sets(first: Ensemble, second: Ensemble) -> dict[str, Tensor]:
    """``set_changes`` of two ensembles."""
    return set_changes(first.edges, second.edges, first.graph)


def inclusion_rows(scores: Scores, size: int, resampled: Tensor | None, seed: int) -> Rows:
    """Score, interval and inclusion frequency of every edge that is in the circuit or in any of the resampled ones."""
    graph, (circuit,) = scores.graph, circuit_of(scores, size)
    frequency = torch.zeros(graph.n_edges) if resampled is None else resampled.double().mean(dim=0)
    values = packed(scores.values, graph)
    order = torch.sort(values.abs(), descending=True, stable=True).indices
    wanted = order[(circuit | (frequency > 0))[order]]
    _, lows, highs = statistics.column_means(examples_of(scores)[:, wanted].numpy(), seed=seed)
    places = graph.mask.nonzero()
    for edge, low, high in zip(wanted.tolist(), lows, highs, strict=True):
        yield {
            "edge": graph.edge_name(*places[edge].tolist()),
            "score": float(values[edge]),
            "score_low": float(low),
            "score_high": float(high),
            "inclusion": None if resampled is None else float(frequency[edge]),
            "in_circuit": bool(circuit[edge]),
        }


def noise_rows(
    model: Model,
    table: str | Path,
    own: Scores,
    size: int,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Rows:
    """Circuits found with a growing share of the article's tokens replaced, against the checkpoint's of ``own``."""
    for share in settings["noise_shares"]:
        scores = score(model, noisy_pairs(table, share, settings["seed"]), circuits)
        yield matched("noise", (f"{share:g}", "circuit"), scores, own, size, settings)


def corruption_rows(scores: Mapping[str, Scores], size: int, settings: Mapping[str, Any]) -> Rows:
    """Every two of the circuits that the corruptions give, each with itself too (Jaccard 1, its effect)."""
    for a in scores:
        for b in scores:
            yield matched("corruption", (a, b), scores[a], scores[b], size, settings)


def matched(
    study: str,
    names: tuple[str, str],
    first: Scores,
    second: Scores,
    size: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """A row of the agreement table: circuits of the same examples under two corruptions, with intervals over examples.

    The examples are resampled for both at once; each has its own draw of the noise, so that the draw's error is in it.
    """
    graph = first.graph
    (row,) = compared(study, [names], circuit_of(first, size), circuit_of(second, size), graph)
    row |= effect(first, settings["seed"])
    sides = examples_of(first), examples_of(second)
    if len(sides[0]) < statistics.MINIMUM:
        return row
    drawn = other_examples(*sides, graph, size, settings["resamples"], settings["seed"], sets)
    for kind in ("edge", "node"):
        name = f"{kind}_jaccard"
        ends = interval(name, centred(row[name], drawn[name]))
        row |= {f"{kind}_low": ends["low"], f"{kind}_high": ends["high"]}
    return row


def effect(scores: Scores, seed: int) -> dict[str, float]:
    """What corrupting the token embeddings does to the metric: the sum of the scores of the edges from ``input``.

    For an integrated method this is M(corrupted) - M(clean) up to the completeness gap.
    """
    from_input = int(scores.graph.mask[0].sum())  # the first edges of every row
    found = statistics.mean(examples_of(scores)[:, :from_input].double().sum(dim=1).numpy(), seed=seed)
    return {"effect": found.value, "effect_low": found.low, "effect_high": found.high}


def noisy_pairs(table: str | Path, share: float, seed: int) -> TokenPairs:
    """The clean side of a pair table, with ``share`` of each article's tokens replaced on the corrupted side.

    Errors: InputError for a share outside 0..1.
    """
    if not 0 < share <= 1:
        raise InputError(f"a noise share of {share}: above 0, at most 1")
    rows = read_table(table, ("id", "clean", "sentence_spans")).to_pylist()
    ends = [row["sentence_spans"][-1][1] for row in rows]
    corpus = [token for row, end in zip(rows, ends, strict=True) for token in row["clean"][:end]]
    _, pairs = read_pairs(table)
    corrupted = pairs.clean.clone()
    for i, (row, end) in enumerate(zip(rows, ends, strict=True)):
        material = Material(row["clean"][:end], [], [], 0, [], corpus, share)
        tokens, _ = corrupt("noise", material, random.Random(f"{seed} {share} {row['id']}"))
        corrupted[i, :end] = torch.tensor(tokens)
    return TokenPairs(pairs.clean, corrupted, pairs.lengths, pairs.target_tokens)
