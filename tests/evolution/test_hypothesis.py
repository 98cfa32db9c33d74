import pytest
import torch
from evolution.conftest import SETTINGS, STEPS

from rewire import statistics
from rewire.circuits import edge_centric
from rewire.evolution.hypothesis import SCHEMA, hypothesis_rows
from rewire.evolution.trajectory import read_trajectory
from rewire.statistics import benjamini_hochberg


@pytest.fixture
def trajectory(files):
    return read_trajectory(files(), STEPS, SETTINGS)


def test_rows_are_the_tests_of_each_comparison_beside_the_known_cases(trajectory):
    rows = hypothesis_rows(trajectory)
    assert all(set(SCHEMA.names) == set(row) for row in rows) and len(rows) == 4
    same, _, from_previous, from_base = rows
    assert same["verdict"] == "inconclusive" and same["p_edge"] > 0.05
    for row in (from_previous, from_base):
        assert row["verdict"] == "supported" and row["low"] > 0 and row["p"] <= 0.05
        assert row["edge_change"] > row["edge_floor"] and row["statistic"] > 0
    for prefix in ("", "reference_"):
        assert {row[f"{prefix}false_positives_pairs"] for row in rows} == {20}
        assert {row[f"{prefix}power_pairs"] for row in rows} == {5}
        assert all(row[f"{prefix}false_positives"] <= 0.25 <= row[f"{prefix}power"] for row in rows)
    distinct = [rows[i] for i in (0, 2, 3)]  # the first checkpoint's previous one is the base
    assert [row["q"] for row in distinct] == pytest.approx(
        list(benjamini_hochberg([row["p"] for row in distinct]))
    )


@pytest.fixture
def known(monkeypatch, measured):
    """Sets what the test does on known cases, by checkpoint; the scores say which one is asked for."""

    def name(scores):
        return next(name for name, own in measured.items() if torch.equal(own, scores))

    def put(false_positives, power):
        for kind, values in (("false_positives", false_positives), ("power", power)):
            monkeypatch.setattr(edge_centric, kind, lambda scores, *case, own=values: own[name(scores)])

    return put


def test_known_cases_are_those_of_the_two_models_compared(trajectory, known):
    never = dict.fromkeys(STEPS, statistics.proportion(1, 100))
    power = dict(zip(STEPS, (statistics.proportion(found, 40) for found in (0, 18, 28)), strict=True))
    known(never, power)
    rows = hypothesis_rows(trajectory)
    assert [(row["reference_power"], row["power"]) for row in rows] == [
        (0, 0.45),
        (0, 0.45),
        (0.45, 0.7),
        (0, 0.7),
    ]
    assert rows[2]["reference_power_low"] == power["step-000010"].low and rows[2]["power_pairs"] == 40


def test_a_test_that_rejects_a_model_and_itself_gives_no_verdict_about_it(trajectory, known):
    never, too_often = statistics.proportion(1, 100), statistics.proportion(20, 100)
    power = dict.fromkeys(STEPS, statistics.proportion(40, 40))
    known(dict.fromkeys(STEPS, never) | {"step-000010": too_often}, power)
    rows = hypothesis_rows(trajectory)
    by_pair = {(row["reference_checkpoint"], row["checkpoint"]): row for row in rows}
    assert by_pair["base", "final"]["verdict"] == "supported"
    about = by_pair["step-000010", "final"]
    assert about["verdict"] == "inconclusive" and about["p"] <= 0.05
    assert about["reference_false_positives"] == 0.2 and about["false_positives"] == 0.01
