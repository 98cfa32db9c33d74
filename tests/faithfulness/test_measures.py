import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewire import statistics
from rewire.faithfulness.measures import METRICS, columns, kl_percentage, measures, normalised
from rewire.faithfulness.resamples import Resamples

DRAW = np.random.default_rng(0)
CLEAN = {metric: DRAW.random(12) + 0.1 for metric in METRICS}
CORRUPTED = {metric: DRAW.random(12) + 2 for metric in METRICS}


def measured(values, clean=CLEAN, corrupted=CORRUPTED):
    """The measures of one circuit: name -> (value, low, high)."""
    n = len(clean["nll"])
    one = {metric: np.asarray(values[metric], dtype=float)[None] for metric in METRICS}
    return {name: found[0] for name, found in measures(one, clean, corrupted, Resamples(n, 500)).items()}


def test_the_whole_model_and_the_corrupted_run():
    whole = measured(CLEAN)
    for name, value in {"normalised": 1, "nll_excess": 0, "kl_percentage": 100, "accuracy_ratio": 1}.items():
        assert whole[name] == pytest.approx([value] * 3), name
    assert measured(CORRUPTED)["normalised"] == pytest.approx([0] * 3)


def test_measures_by_hand():
    clean = dict.fromkeys(METRICS, np.array([1.0, 3.0]))
    corrupted = dict.fromkeys(METRICS, np.array([5.0, 7.0]))
    circuit = {
        "nll": [2, 4],
        "kl": [0.5, 0.7],
        "kl_reverse": [1, 2],
        "kl_corrupted": [1, 2],
        "accuracy": [0, 1],
    }
    found = measured(circuit, clean, corrupted)
    expected = {
        "normalised": (3 - 6) / (2 - 6),
        "nll_excess": 1,
        "kl": 0.6,
        "kl_reverse": 1.5,
        "kl_percentage": (1 - abs(2 - 1.5) / 2) * 100,
        "accuracy": 0.5,
        "accuracy_ratio": 0.25,
    }
    assert {name: value for name, (value, _, _) in found.items()} == pytest.approx(expected)
    assert all(np.isnan(interval[1:]).all() for interval in found.values()), "two examples give no interval"


def test_normalised_is_a_ratio_of_means_and_its_interval_resamples_all_three_runs():
    circuit = {metric: CLEAN[metric] + 0.3 for metric in METRICS}

    def of_means(m, clean, corrupted, axis):
        return normalised(m.mean(axis=axis), clean.mean(axis=axis), corrupted.mean(axis=axis))

    runs = [circuit["nll"], CLEAN["nll"], CORRUPTED["nll"]]
    expected = statistics.estimate(runs, of_means, resamples=4000)
    assert measured(circuit)["normalised"] == pytest.approx(
        [expected.value, expected.low, expected.high], abs=0.01
    )


@given(st.floats(0.1, 10), st.floats(-5, 5), st.floats(0, 3), st.floats(0, 1), st.floats(1.5, 3))
def test_f_does_not_depend_on_the_unit_or_the_zero_of_the_metric(scale, shift, m, clean, corrupted):
    moved = [scale * value + shift for value in (m, clean, corrupted)]
    assert normalised(*moved) == pytest.approx(normalised(m, clean, corrupted), rel=1e-6, abs=1e-6)


def test_kl_percentage_does_not_tell_too_far_from_too_near():
    found = kl_percentage(np.array([2.0, 2.0, 2.0, 0.0]), np.array([1.5, 2.5, 5.0, 1.0]))
    assert found[:3] == pytest.approx([75, 75, -50]) and np.isnan(found[3])


def test_f_has_no_interval_where_corruption_may_change_nothing():
    noise = np.tile([-1.0, 1.0], 6)
    corrupted = CORRUPTED | {"nll": CLEAN["nll"] + noise + 0.01}
    value, low, high = measured(CORRUPTED, CLEAN, corrupted)["normalised"]
    assert np.isfinite(value) and np.isnan([low, high]).all()
    assert np.isfinite(measured(CORRUPTED, CLEAN, corrupted)["nll_excess"]).all()
    same = measured(CORRUPTED, CLEAN, CLEAN)["normalised"]
    assert np.isnan(same).all(), "the corrupted run is the clean one"


def test_no_accuracy_ratio_for_a_model_that_is_never_right():
    wrong = CLEAN | {"accuracy": np.zeros(12)}
    found = measured(CLEAN, wrong)
    assert np.isnan(found["accuracy_ratio"]).all() and np.isfinite(found["accuracy"]).all()


def test_columns_are_value_low_and_high():
    found = columns({"kl": np.array([[1.0, 0.5, 2.0], [3.0, np.nan, np.nan]])}, 0)
    assert found == {"kl": 1.0, "kl_low": 0.5, "kl_high": 2.0}
