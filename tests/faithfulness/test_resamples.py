import numpy as np
import pytest

from rewire import statistics
from rewire.faithfulness.resamples import Resamples, ratio

VALUES = np.random.default_rng(1).normal(size=(3, 20))


def test_intervals_of_means_are_those_of_the_statistics_module():
    resamples = Resamples(20, 400, seed=7)
    found = resamples.interval(resamples.means(VALUES))
    expected = np.stack(statistics.column_means(VALUES.T, resamples=400, seed=7), axis=-1)
    assert np.allclose(found, expected, rtol=1e-12)


def test_everything_is_resampled_together():
    resamples = Resamples(20, 50)
    difference = resamples.means(VALUES[0] - VALUES[1])
    assert np.allclose(difference, resamples.means(VALUES[0]) - resamples.means(VALUES[1]))


def test_no_interval_for_few_examples_or_a_statistic_that_is_not_always_finite():
    few = Resamples(4, 100)
    value, low, high = few.interval(few.means(np.array([1.0, 2.0, 3.0, 6.0])))
    assert value == 3 and np.isnan([low, high]).all()
    drawn = np.ones((2, 101))
    drawn[1, 50] = np.nan
    found = Resamples(20, 100).interval(drawn)
    assert found[0].tolist() == [1, 1, 1] and found[1, 0] == 1 and np.isnan(found[1, 1:]).all()


def test_a_ratio_with_nothing_below_is_not_a_number():
    found = ratio(np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([2.0, 0.0]))
    assert found[:, 0] == pytest.approx([0.5, 0]) and np.isnan(found[:, 1]).all()
