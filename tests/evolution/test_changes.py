import numpy as np
import pytest
import torch
from circuits.score_worlds import GRAPH, SIZE, effects, examples, rewired
from evolution.conftest import SETTINGS, STEPS
from scipy import stats

from rewire.circuits.comparison import MEASURES, SETS
from rewire.circuits.edge_centric import jaccards
from rewire.circuits.ensembles import ensemble
from rewire.circuits.noise_floor import centred, interval, other_examples, same_model
from rewire.evolution.changes import beyond_floor, change_rows, circuit_rows, layer_rows
from rewire.evolution.trajectory import read_trajectory


@pytest.fixture
def trajectory(files):
    return read_trajectory(files(), STEPS, SETTINGS)


def test_each_checkpoint_against_the_previous_and_the_base(trajectory):
    rows = circuit_rows(trajectory)
    assert [(r["checkpoint"], r["step"], r["reference"], r["reference_checkpoint"]) for r in rows] == [
        ("step-000010", 10, "previous", "base"),
        ("step-000010", 10, "base", "base"),
        ("final", 20, "previous", "step-000010"),
        ("final", 20, "base", "base"),
    ]
    for row in rows:
        a, b = (trajectory.circuits[row[key]] for key in ("reference_checkpoint", "checkpoint"))
        both = int((a.edges & b.edges).sum())
        assert row["edge_jaccard"] == pytest.approx(both / int((a.edges | b.edges).sum()))
        assert row["edges_born"] == int(b.edges.sum()) - both
        assert row["edges_lost"] == int(a.edges.sum()) - both
        assert SIZE <= row["edges"] == int(b.edges.sum()) <= 1.1 * SIZE
        assert row["nodes"] == int(b.nodes.sum()) and row["examples"] == 24


def test_a_run_that_changes_nothing_has_jaccard_one(files):
    paths = files()
    trajectory = read_trajectory(dict.fromkeys(STEPS, paths["base"]), STEPS, SETTINGS)
    for row in circuit_rows(trajectory):
        assert row["edge_jaccard"] == row["node_jaccard"] == 1 and row["spearman"] == pytest.approx(1)
        assert row["edges_born"] == row["edges_lost"] == row["nodes_born"] == row["nodes_lost"] == 0
    for row in change_rows(trajectory):
        if row["measure"] == "edge_jaccard":
            assert row["value"] == row["low"] == row["high"] == 1 > row["floor"] > row["random"]


def test_every_measure_has_its_interval_both_noise_floors_and_random_circuits(trajectory, measured):
    rows = change_rows(trajectory)
    values = {(r["checkpoint"], r["reference"]): r for r in circuit_rows(trajectory)}
    floors = {
        name: same_model(scores, GRAPH, SIZE, SETTINGS["resamples"], 0) for name, scores in measured.items()
    }
    assert [row["measure"] for row in rows[:8]] == list(MEASURES)
    for row in rows:
        measure = row["measure"]
        assert row["value"] == values[row["checkpoint"], row["reference"]][measure]
        assert row["low"] <= row["value"] <= row["high"]
        for name, checkpoint in (
            ("floor", row["checkpoint"]),
            ("reference_floor", row["reference_checkpoint"]),
        ):
            drawn = floors[checkpoint][measure]
            assert row[name] == pytest.approx(drawn.mean())
            assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(
                tuple(np.quantile(drawn, (0.05, 0.95)))
            )
        assert ("random" in row) is (measure in SETS)
        assert row["beyond_low"] <= row["beyond"] <= row["beyond_high"] or row["value"] == 1
    final = {row["measure"]: row for row in rows if row["checkpoint"] == "final"}
    assert final["edge_jaccard"]["random_high"] < final["edge_jaccard"]["value"]
    assert final["edge_jaccard"]["value"] < final["edge_jaccard"]["floor_low"], "rewired beyond the noise"
    assert final["node_jaccard"]["value"] >= final["node_jaccard"]["floor_low"], "nodes kept"
    assert final["edge_jaccard"]["beyond_low"] > 0 > final["node_jaccard"]["beyond_low"]


def test_intervals_are_the_bootstrap_around_the_value_within_the_range_of_the_measure(trajectory, measured):
    row = next(
        r for r in change_rows(trajectory) if r["checkpoint"] == "final" and r["measure"] == "spearman"
    )
    drawn = other_examples(measured["step-000010"], measured["final"], GRAPH, SIZE, 100, 0)["spearman"]
    width = np.subtract(*np.quantile(drawn, (0.975, 0.025)))
    assert row["high"] - row["low"] == pytest.approx(width)
    wide = np.array([0.0, 10.0] * 50)
    around = centred(0.5, wide)
    assert around.mean() == pytest.approx(0.5)
    assert interval("edge_jaccard", around) == {"low": 0.0, "high": 1.0}
    assert interval("spearman", around) == {"low": -1.0, "high": 1.0}
    assert interval("node_turnover", around) == {"low": 0.0, "high": 5.5}


def test_change_beyond_the_floor_of_the_less_stable_model():
    """By hand: a similarity falls and a distance grows; both errors are in the interval."""
    around = np.full(100, 0.4)
    firm, loose = np.full(100, 0.9), np.linspace(0.6, 0.8, 100)
    found = beyond_floor("edge_jaccard", 0.4, around, [firm, loose])
    ends = np.quantile(loose, (0.025, 0.975)) - 0.4
    assert tuple(found.values()) == pytest.approx((0.3, *ends)), "the floor's spread"
    turned = beyond_floor("edge_unshared", 0.6, 1 - around, [1 - firm, 1 - loose])
    assert turned == pytest.approx(found)
    noisy = centred(0.4, np.random.default_rng(0).normal(0, 0.1, 100))
    found = beyond_floor("edge_jaccard", 0.4, noisy, [firm, firm])
    assert found["beyond_high"] - found["beyond_low"] == pytest.approx(
        np.ptp(np.quantile(noisy, (0.025, 0.975)))
    )


def test_other_data_alone_is_beyond_the_floor_in_at_most_one_case_of_forty():
    """One model on two disjoint sets of examples; with half of its wires exchanged it is found."""
    found = {"same": 0, "changed": 0}
    for trial in range(40):
        true = effects(trial % 8)
        half = torch.where(torch.arange(len(true)) % 2 == 0, true, rewired(true, trial))
        for kind, after in (("same", true), ("changed", half)):
            sides = examples(true, 24, 2 * trial), examples(after, 24, 2 * trial + 1)
            sampling = GRAPH, SIZE, 100, 0, jaccards
            floors = [same_model(side, *sampling)["edge_jaccard"] for side in sides]
            one, other = (ensemble(side.mean(dim=0)[None], GRAPH, SIZE) for side in sides)
            value = float(jaccards(one, other)["edge_jaccard"][0])
            around = centred(value, other_examples(*sides, *sampling)["edge_jaccard"])
            found[kind] += beyond_floor("edge_jaccard", value, around, floors)["beyond_low"] > 0
    assert found["same"] <= stats.binom.ppf(0.999, 40, 0.025) and found["changed"] >= 25


def test_layers_add_up_to_the_circuits(trajectory):
    totals = {(r["checkpoint"], r["reference"]): r for r in circuit_rows(trajectory)}
    rows = layer_rows(trajectory)
    for key, total in totals.items():
        for end in ("source", "destination"):
            own = [r for r in rows if (r["checkpoint"], r["reference"], r["end"]) == (*key, end)]
            assert sum(r["edges_born"] for r in own) == total["edges_born"]
            assert sum(r["edges_lost"] for r in own) == total["edges_lost"]
            assert sum(r["edges_after"] for r in own) == total["edges"]
    assert {r["layer"] for r in rows if r["end"] == "source"} == {-1, 0, 1, 2}
    assert {r["layer"] for r in rows if r["end"] == "destination"} == {0, 1, 2, 3}
