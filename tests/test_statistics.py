"""Bootstrap intervals: coverage, small samples, constants, pairing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rewire.statistics import MINIMUM, estimate, mean, mean_difference


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_the_interval_covers_the_true_mean_as_often_as_it_says(shape: str) -> None:
    rng = np.random.default_rng(0)
    trials, n = 400, 60
    draw = {"normal": lambda: rng.normal(0, 3, n), "skewed": lambda: rng.gamma(4, 1, n) - 4}[shape]
    covered = 0
    for _ in range(trials):
        found = mean(draw(), resamples=1000)
        covered += found.low <= 0 <= found.high
    # a percentile interval of 60 examples covers a little less than 95 %: 93 % is allowed, and chance on both sides
    low, high = stats.binom.ppf(0.001, trials, 0.93), stats.binom.ppf(0.999, trials, 0.95)
    assert low <= covered <= high


def test_a_wider_confidence_is_wider_and_more_examples_are_narrower() -> None:
    values = np.random.default_rng(1).normal(size=200)
    narrow, wide = mean(values, confidence=0.5), mean(values, confidence=0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    few = mean(values[:20])
    assert few.high - few.low > mean(values).high - mean(values).low
    assert mean(values).n == 200


@pytest.mark.parametrize("n", range(1, MINIMUM))
def test_too_few_examples_give_no_interval(n: int) -> None:
    found = mean(np.arange(n))
    assert (found.value, found.n) == ((n - 1) / 2, n)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_five_examples_give_one() -> None:
    found = mean([0, 1, 2, 3, 4])
    assert 0 <= found.low < 2 < found.high <= 4


@settings(max_examples=30, deadline=None)
@given(value=st.floats(-1e6, 1e6), n=st.integers(MINIMUM, 40))
def test_constant_data_are_their_own_interval(value: float, n: int) -> None:
    found = mean([value] * n, resamples=1000)
    assert found.low == found.value == found.high
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_gives_no_interval_rather_than_a_wrong_one(bad: float) -> None:
    found = mean([1.0, 2.0, bad, 4.0, 5.0, 6.0])
    assert not math.isfinite(found.value)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_same_data_same_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert mean(values) == mean(list(values))
    assert mean(values) != mean(values, seed=1)


def test_pairs_are_resampled_together() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(0, 100, 50)
    b = a - 1 + rng.normal(0, 0.01, 50)
    found = mean_difference(a, b)
    assert found.value == pytest.approx(1, abs=0.01)
    assert found.high - found.low < 0.02  # unpaired it would be tens wide
    together = estimate([a, b], lambda x, y, axis=-1: (x - y).mean(axis=axis))
    assert together.low == pytest.approx(found.low)
    assert together.high == pytest.approx(found.high)
    assert mean_difference(b, a).value == pytest.approx(-found.value)
