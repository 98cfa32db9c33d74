from collections import Counter

import pytest
import torch

from rewire.circuits import controls, evaluation, interchange
from rewire.circuits.selection import top_n
from rewire.faithfulness.sweep import curve, described, live, random_counterparts

FRACTIONS = [0.05, 0.1, 0.3, 1.0]


@pytest.fixture(scope="module")
def scores(stage):
    return interchange.read_scores(stage.folder / "scores.safetensors")[0]


def profile(point):
    """Edges between every pair of layers, and their number."""
    graph = point.circuit.graph
    pairs = point.circuit.mask.nonzero().tolist()
    return Counter((int(graph.source_layer[u]), int(graph.destination_layer[v])) for u, v in pairs)


def test_both_rankings_at_every_fraction(scores):
    points = curve("circuit", scores, FRACTIONS)
    for point in points:
        expected = top_n(scores, round(point.fraction * scores.graph.n_edges), point.ranking == "absolute")
        assert torch.equal(point.circuit.mask, expected.mask) and point.edges == expected.n_edges
    assert [(p.ranking, p.fraction) for p in points] == [
        (ranking, fraction) for ranking in ("absolute", "signed") for fraction in FRACTIONS
    ]


def test_dead_edges_change_nothing(scores, stage):
    circuit = top_n(scores, 30)
    generator = torch.Generator().manual_seed(0)
    randoms = [controls.random_like(circuit, generator) for _ in range(6)]
    pruned = [live(random) for random in randoms]
    assert any(a.n_edges > b.n_edges for a, b in zip(randoms, pruned, strict=True)), "nothing to prune"
    for metric in ("nll", "kl"):
        whole, part = (
            evaluation.evaluate(stage.model, c, stage.pairs, [metric])[metric] for c in (randoms, pruned)
        )
        assert torch.allclose(whole, part, atol=1e-5)


def test_random_counterparts_are_matched_nested_and_repeatable(scores):
    points = [point for point in curve("circuit", scores, FRACTIONS) if point.ranking == "absolute"]
    randoms = random_counterparts(points, 20, seed=0)
    for point in points:
        same = [random for random in randoms if random.fraction == point.fraction]
        assert sorted(random.draw for random in same) == list(range(20))
        assert {random.edges for random in same} == {point.edges}
    middle = [random for random in randoms if random.fraction == 0.3]
    assert len({tuple(random.circuit.mask.flatten().tolist()) for random in middle}) == 20, "draws differ"
    again = random_counterparts(points, 20, seed=0)
    assert all(torch.equal(a.circuit.mask, b.circuit.mask) for a, b in zip(randoms, again, strict=True))
    full = [controls.random_like(point.circuit, torch.Generator().manual_seed(5)) for point in points]
    for small, large in zip(full, full[1:], strict=False):
        assert not (small.mask & ~large.mask).any(), "a draw is one order of the edges"


def test_counterparts_keep_the_layer_profile_of_a_circuit_without_dead_edges(scores):
    point = next(point for point in curve("circuit", scores, [1.0]))
    assert all(profile(random) == profile(point) for random in random_counterparts([point], 3, seed=0))


def test_sizes_of_folds_are_means(scores):
    small, large = curve("held-out", scores, [0.3, 1.0])[:2]
    found = described([small, large])
    assert found["circuit"] == "held-out" and found["fraction"] == 0.3
    assert found["edges"] == (small.edges + large.edges) / 2
    assert found["live_edges"] == (small.circuit.n_edges + large.circuit.n_edges) / 2
    assert found["nodes"] == (int(small.circuit.nodes.sum()) + int(large.circuit.nodes.sum())) / 2
