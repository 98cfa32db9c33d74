import numpy as np
import pytest
import torch
from circuits.score_worlds import GRAPH, SIZE, effects, examples

from rewire.circuits import controls, noise_floor
from rewire.circuits.comparison import MEASURES, SETS, changes, resampled_changes
from rewire.circuits.ensembles import ensemble, packed, unpacked
from rewire.circuits.noise_floor import centred, interval, other_examples, random_circuits, same_model
from rewire.circuits.selection import Circuit
from rewire.statistics import bootstrap_weights


def circuits(*scores: torch.Tensor):
    return [ensemble(one.mean(dim=0)[None], GRAPH, SIZE) for one in scores]


def test_the_noise_floor_is_the_change_between_two_data_sets_of_one_model():
    """Against what it stands for, measured: fresh data sets of as many examples, from models of the same kind."""
    floors, fresh = [], []
    for seed in range(12):
        true = effects(seed)
        floor = same_model(examples(true, 40, 1000 + seed), GRAPH, SIZE, 100, seed)
        floors.append([floor[name].mean() for name in ("edge_jaccard", "node_jaccard", "weighted_jaccard")])
        for trial in range(8):
            sides = circuits(*(examples(true, 40, 16 * seed + 2 * trial + side) for side in (0, 1)))
            found = changes(*sides)
            fresh.append(
                [float(found[name]) for name in ("edge_jaccard", "node_jaccard", "weighted_jaccard")]
            )
    assert np.mean(floors, axis=0) == pytest.approx(np.mean(fresh, axis=0), abs=0.04)


def test_more_examples_lower_the_noise():
    few, many = (same_model(examples(effects(0), n, 0), GRAPH, SIZE, 100, 0) for n in (10, 160))
    for name in MEASURES:
        further = few[name].mean() - many[name].mean()
        assert (further > 0) == ("turnover" in name or "unshared" in name), name


def test_a_model_without_noise_has_no_floor():
    constant = effects(0).expand(8, -1)
    found = same_model(constant, GRAPH, SIZE, 50, 0)
    assert found["edge_jaccard"].min() == found["node_jaccard"].min() == 1
    assert len(found["spearman"]) == 50


def test_other_examples_are_the_same_for_both_circuits():
    scores = examples(effects(0), 20, 0)
    found = other_examples(scores, scores, GRAPH, SIZE, 50, 0)
    assert all(found[name].min() == 1 for name in ("edge_jaccard", "node_jaccard"))
    assert found["edge_turnover"].max() == 0


@pytest.mark.parametrize("measure", ["edge_jaccard", "spearman"])
def test_the_interval_covers_what_other_examples_would_have_given(measure):
    """The middle of the bootstrap, moved to the observed value: what evolution tables call an interval."""
    generator = torch.Generator().manual_seed(0)
    before = effects(3)
    after = before * torch.exp(0.5 * torch.randn(len(before), generator=generator))
    observed, covered = [], []
    for trial in range(60):
        sides = [examples(true, 32, 2 * trial + i) for i, true in enumerate((before, after))]
        observed.append(float(changes(*circuits(*sides))[measure]))
        drawn = other_examples(*sides, GRAPH, SIZE, 100, trial)[measure]
        covered.append(interval(measure, centred(observed[-1], drawn)))
    expected = np.mean(observed)
    share = np.mean([kept["low"] <= expected <= kept["high"] for kept in covered])
    assert share >= 0.85  # 95 % claimed; 60 trials, 100 resamples


def test_random_circuits_are_those_of_the_size_and_layer_profile():
    (before,), (after,) = ([c.edges[0] for c in circuits(examples(effects(s), 8, 0))] for s in (0, 1))
    found = random_circuits(before, after, GRAPH, 30, 0)
    assert set(found) == set(SETS) and all(len(values) == 30 for values in found.values())
    generator = torch.Generator().manual_seed(5)
    slow = []
    for _ in range(30):
        masks = []
        for edges in (before, after):
            circuit = Circuit(unpacked(edges[None], GRAPH)[0], GRAPH, int(edges.sum()))
            masks.append(packed(controls.random_like(circuit, generator).mask, GRAPH))
        slow.append(float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()))
    assert found["edge_jaccard"].mean() == pytest.approx(np.mean(slow), abs=0.03)
    again = random_circuits(before, after, GRAPH, 30, 0)
    assert all(np.array_equal(found[name], again[name], equal_nan=True) for name in SETS)


@pytest.mark.parametrize("block", [10, 10**6])
def test_samples_that_are_drawn_once_for_all_are_those_of_each_alone(block, monkeypatch):
    """Of blocks of one row and of all rows, against each pair's and each model's own samples."""
    scores = {name: examples(effects(i), 12, i) for i, name in enumerate("abc")}
    weights = bootstrap_weights(12, 80, 3)
    own, another = weights[:40], weights[40:]
    none = np.zeros_like(own)
    pairs = [("a", "b"), ("c", "a")]
    monkeypatch.setattr(noise_floor, "BLOCK", block)
    found = noise_floor.resampled_together(scores, pairs, GRAPH, SIZE, 40, 3)
    assert list(found.changes) == pairs and list(found.floors) == list(scores)
    for before, after in pairs:
        both = torch.cat([scores[before], scores[after]])
        sides = np.hstack([own, none]), np.hstack([none, own])
        alone = resampled_changes(both, *sides, GRAPH, SIZE)
        assert alone.keys() == found.changes[before, after].keys()
        for measure, drawn in alone.items():
            np.testing.assert_allclose(found.changes[before, after][measure], drawn, rtol=1e-5)
    for name, values in scores.items():
        for measure, drawn in resampled_changes(values, own, another, GRAPH, SIZE).items():
            np.testing.assert_allclose(found.floors[name][measure], drawn, rtol=1e-5)
    without = noise_floor.resampled_together(scores, pairs, GRAPH, SIZE, 40, 3, floors=False)
    assert without.floors == {} and list(without.changes) == pairs
