import pytest
from evolution.conftest import SETTINGS, STEPS

from rewire import statistics
from rewire.circuits import edge_centric
from rewire.evolution.hypothesis import SCHEMA, hypothesis_rows
from rewire.evolution.trajectory import read_trajectory
from rewire.statistics import Estimate, benjamini_hochberg


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
    assert {row["false_positives_pairs"] for row in rows} == {20} and rows[0]["false_positives"] <= 0.25
    assert {row["power_pairs"] for row in rows} == {5} and rows[0]["power"] >= 0.6
    distinct = [rows[i] for i in (0, 2, 3)]  # the first checkpoint's previous one is the base
    assert [row["q"] for row in distinct] == pytest.approx(
        list(benjamini_hochberg([row["p"] for row in distinct]))
    )


def test_a_test_that_rejects_a_model_and_itself_gives_no_verdict(trajectory, monkeypatch):
    too_often = statistics.proportion(20, 100)
    monkeypatch.setattr(edge_centric, "false_positives", lambda *case: too_often)
    monkeypatch.setattr(edge_centric, "power", lambda *case: Estimate(1.0, 0.5, 1.0, 5))
    rows = hypothesis_rows(trajectory)
    assert {row["verdict"] for row in rows} == {"inconclusive"} and rows[0]["false_positives"] == 0.2
    assert min(row["p"] for row in rows) <= 0.05
