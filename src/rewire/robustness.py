"""How much a circuit owes to its examples, to noise and to the kind of corruption. Definitions: "Robustness"."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from rewire import statistics
from rewire.circuits import attribution
from rewire.circuits.comparison import jaccard
from rewire.circuits.resampling import inclusion_frequency, reweighted, split_weights
from rewire.circuits.selection import Circuit, Scores, top_n
from rewire.corruption import Material, corrupt
from rewire.errors import InputError
from rewire.models import Model, load, randomly_initialised
from rewire.pairs import TokenPairs, read_pairs
from rewire.tables import read_table, schema, write_table

AGREEMENT = schema(
    model="string",
    study="string",
    first="string",
    second="string",
    edges="int32",
    edge_jaccard="float64",
    node_jaccard="float64",
    effect="float64",
)
EDGES = schema(
    model="string",
    edge="string",
    score="float64",
    score_low="float64",
    score_high="float64",
    inclusion="float64",
    in_circuit="bool",
)
RANDOM = "random weights"
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
    much the first one's pairs change the metric). ``edges``: each edge's score with its bootstrap interval, and the
    share of the bootstrap circuits that it is in.
    """
    rows: list[dict[str, Any]] = []
    edge_rows: list[dict[str, Any]] = []
    _, own = read_pairs(pairs[corruption])
    for name in [*checkpoints, RANDOM]:
        first = next(iter(checkpoints.values()))
        model = randomly_initialised(first, settings["seed"]) if name == RANDOM else load(checkpoints[name])
        scores = score(model, own, circuits)
        size = round(circuits["fraction"] * model.graph.n_edges)
        rows += [{"model": name, **row} for row in split_rows(scores, size, settings)]
        resampled = bootstrap_circuits(scores, size, settings)
        rows += [{"model": name, **row} for row in bootstrap_rows(resampled)]
        edge_rows += [{"model": name, **row} for row in inclusion_rows(scores, size, resampled, settings)]
        if name == list(checkpoints)[-1]:
            reference = top_n(scores, size)
            rows += [
                {"model": name, **row}
                for row in noise_rows(model, pairs[corruption], reference, circuits, settings)
            ]
            rows += [{"model": name, **row} for row in corruption_rows(model, pairs, circuits, size)]
    write_table(agreement, rows, AGREEMENT)
    write_table(edges, edge_rows, EDGES)


def score(model: Model, pairs: TokenPairs, circuits: Mapping[str, Any]) -> Scores:
    """Edge scores as the circuits stage takes them, each example's kept."""
    options = {key: circuits[key] for key in ("metric", "method", "steps", "grid", "batch_tokens")}
    return attribution.attribute(model, pairs, **options, examples=True)


def compared(study: str, first: str, second: str, a: Circuit, b: Circuit) -> dict[str, Any]:
    """One row of the agreement table."""
    return {
        "study": study,
        "first": first,
        "second": second,
        "edges": a.n_edges,
        "edge_jaccard": jaccard(a.mask, b.mask),
        "node_jaccard": jaccard(a.nodes, b.nodes),
    }


def split_rows(scores: Scores, size: int, settings: Mapping[str, Any]) -> Rows:
    """Every two of the circuits of disjoint parts of the examples; none where there are too few examples."""
    assert scores.examples is not None
    if len(scores.examples) < settings["splits"]:
        return
    weights = split_weights(len(scores.examples), settings["splits"], settings["seed"])
    parts = [top_n(part, size) for part in reweighted(scores, weights)]
    for a, b in combinations(range(len(parts)), 2):
        yield compared("split", str(a), str(b), parts[a], parts[b])


def bootstrap_circuits(scores: Scores, size: int, settings: Mapping[str, Any]) -> list[Circuit]:
    assert scores.examples is not None
    weights = statistics.bootstrap_weights(len(scores.examples), settings["resamples"], settings["seed"])
    return [top_n(resample, size) for resample in reweighted(scores, weights)]


def bootstrap_rows(resampled: Sequence[Circuit]) -> Rows:
    """The resamples two by two, each in one pair alone: the pairs are independent."""
    for a in range(0, len(resampled) - 1, 2):
        yield compared("bootstrap", str(a), str(a + 1), resampled[a], resampled[a + 1])


def inclusion_rows(
    scores: Scores, size: int, resampled: Sequence[Circuit], settings: Mapping[str, Any]
) -> Rows:
    """Score, interval and inclusion frequency of every edge that is in the circuit or in any of the resampled ones."""
    frequency, circuit = inclusion_frequency(resampled), top_n(scores, size)
    best, examples = scores.leading(scores.graph.n_edges)
    columns = scores.graph.n_destinations
    wanted = (circuit.mask | (frequency > 0)).flatten()[best]
    _, lows, highs = statistics.column_means(examples[:, wanted].numpy(), seed=settings["seed"])
    for edge, low, high in zip(best[wanted].tolist(), lows, highs, strict=True):
        u, v = divmod(edge, columns)
        yield {
            "edge": scores.graph.edge_name(u, v),
            "score": float(scores.values[u, v]),
            "score_low": float(low),
            "score_high": float(high),
            "inclusion": float(frequency[u, v]),
            "in_circuit": bool(circuit.mask[u, v]),
        }


def noise_rows(
    model: Model,
    table: str | Path,
    reference: Circuit,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Rows:
    """Circuits found with a growing share of the article's tokens replaced, against the circuit of the checkpoint."""
    for share in settings["noise_shares"]:
        scores = score(model, noisy_pairs(table, share, settings["seed"]), circuits)
        row = compared("noise", f"{share:g}", "circuit", top_n(scores, reference.requested), reference)
        yield {**row, "effect": effect(scores)}


def corruption_rows(
    model: Model, pairs: Mapping[str, str | Path], circuits: Mapping[str, Any], size: int
) -> Rows:
    """Every two of the circuits that the corruptions give, each with itself too (Jaccard 1, its effect)."""
    scores = {name: score(model, read_pairs(table)[1], circuits) for name, table in pairs.items()}
    found = {name: top_n(values, size) for name, values in scores.items()}
    for a in found:
        for b in found:
            yield {**compared("corruption", a, b, found[a], found[b]), "effect": effect(scores[a])}


def effect(scores: Scores) -> float:
    """What corrupting the token embeddings does to the metric: the sum of the scores of the edges from ``input``.

    For an integrated method this is M(corrupted) - M(clean) up to the completeness gap.
    """
    return float(scores.values[0].double().sum())


def noisy_pairs(table: str | Path, share: float, seed: int) -> TokenPairs:
    """The clean side of a pair table, with ``share`` of each article's tokens replaced on the corrupted side.

    Errors: InputError for a share outside 0..1.
    """
    if not 0 < share <= 1:
        raise InputError(f"a noise share of {share}: above 0, at most 1")
    rows = read_table(table).to_pylist()
    ends = [row["sentence_spans"][-1][1] for row in rows]
    corpus = [token for row, end in zip(rows, ends, strict=True) for token in row["clean"][:end]]
    _, pairs = read_pairs(table)
    corrupted = pairs.clean.clone()
    for i, (row, end) in enumerate(zip(rows, ends, strict=True)):
        material = Material(row["clean"][:end], [], [], 0, [], corpus, share)
        tokens, _ = corrupt("noise", material, random.Random(f"{seed} {share} {row['id']}"))
        corrupted[i, :end] = torch.tensor(tokens)
    return TokenPairs(pairs.clean, corrupted, pairs.lengths, pairs.target_tokens)
