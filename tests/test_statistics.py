"""Intervals (coverage, small samples, constants, pairing) and tests (oracles, exact cases, properties)."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from rewire.errors import InputError
from rewire.statistics import (
    METHODS,
    MINIMUM,
    benjamini_hochberg,
    bootstrap_weights,
    column_means,
    estimate,
    mean,
    mean_difference,
    nested_interval,
    nested_weights,
    paired_permutation,
    permutations,
    proportion,
    sign_flips,
)

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=30)


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


def test_bca_covers_skewed_data_more_often_than_percentile() -> None:
    rng = np.random.default_rng(4)
    covered = dict.fromkeys(METHODS, 0)
    for _ in range(400):
        values = rng.lognormal(0, 1, 30)
        for method in METHODS:
            found = mean(values, resamples=1000, method=method)
            covered[method] += found.low <= math.exp(0.5) <= found.high
    assert covered["BCa"] > covered["percentile"]


def test_bca_without_a_jackknife_gives_no_interval() -> None:
    """The median of 0, 0, ... does not move when one example is left out."""
    found = estimate([[0.0] * 20 + [1.0]], np.median, method="BCa")
    assert found.value == 0 and (math.isnan(found.low) or found.low == found.high == 0)


@pytest.mark.parametrize("compute", [mean, column_means])
def test_an_unknown_method_is_named(compute) -> None:
    with pytest.raises(InputError, match="'studentized' is not one of percentile, BCa"):
        compute(np.arange(9.0), method="studentized")


def test_rows_of_weights_are_resamples() -> None:
    weights = bootstrap_weights(7, 500, seed=3)
    assert weights.shape == (500, 7) and np.allclose(weights.sum(axis=1), 1)
    assert np.allclose(weights * 7, np.round(weights * 7))
    counts = (weights * 7).var(axis=0).mean()  # binomial: 7 draws of probability 1/7
    assert counts == pytest.approx(6 / 7, rel=0.1)
    assert np.array_equal(weights, bootstrap_weights(7, 500, seed=3))


def test_resamples_of_resamples_stay_inside_them() -> None:
    weights = nested_weights(6, 20, 300, seed=2)
    assert weights.shape == (20, 300, 6) and np.allclose(weights.sum(axis=2), 1)
    outer = bootstrap_weights(6, 20, 2)
    assert not weights[np.broadcast_to(outer[:, None] == 0, weights.shape)].any()
    assert np.abs(weights.mean(axis=1) - outer).max() < 5 * np.sqrt(0.25 / 6 / 300)
    assert np.array_equal(weights, nested_weights(6, 20, 300, seed=2))


def test_the_error_of_a_bootstrap_mean_is_that_over_examples_however_many_draws() -> None:
    """The mean of means of resamples: its error is that of the mean, not of the draws."""
    values = np.random.default_rng(0).normal(size=30)
    error = values.std() / np.sqrt(30)
    for inner in (5, 50):
        drawn = nested_weights(30, 2000, inner) @ values
        found = nested_interval(values.mean(), drawn, 30, 10**6)
        assert (found.high - found.low) / (2 * stats.t.ppf(0.975, 29)) == pytest.approx(error, rel=0.05)
        few = nested_interval(values.mean(), drawn, 30, 4)
        assert (few.high - few.low) / (found.high - found.low) == pytest.approx(
            math.sqrt(1 + 1 / 4), rel=0.03
        )
    assert math.isnan(nested_interval(0.5, drawn, MINIMUM - 1, 10).low)
    sure = nested_interval(1.0, np.ones((20, 5)), 30, 10)
    assert sure.low == sure.value == sure.high == 1


@pytest.mark.parametrize("method", METHODS)
def test_means_of_columns_are_the_means_of_each(method: str, monkeypatch) -> None:
    monkeypatch.setattr("rewire.statistics.BLOCK", 3 * 1000)  # three columns at once
    values = np.random.default_rng(5).gamma(2, 1, (12, 7)) - 2
    values[:, 2] = 4.0
    values[3, 5] = math.nan
    value, low, high = column_means(values, resamples=1000, seed=9, method=method)
    for column in range(7):
        one = mean(values[:, column], resamples=1000, seed=9, method=method)
        found = value[column], low[column], high[column]
        assert found == pytest.approx((one.value, one.low, one.high), nan_ok=True)
    assert value[2] == low[2] == high[2] == 4
    assert np.isnan([value[5], low[5], high[5]]).all()


def test_means_of_columns_of_few_examples_have_no_interval() -> None:
    value, low, high = column_means(np.ones((MINIMUM - 1, 3)))
    assert value.tolist() == [1, 1, 1] and np.isnan(low).all() and np.isnan(high).all()


def every_sign(column: np.ndarray) -> float:
    """By definition: the share of sign patterns whose mean is at least as far from 0."""
    patterns = [np.dot(signs, column) for signs in itertools.product((1, -1), repeat=len(column))]
    limit = abs(column.sum()) - 1e-12 * np.abs(column).sum()
    return float(np.mean(np.abs(patterns) >= limit))


@settings(max_examples=60, deadline=None)
@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)))
def test_exact_permutation_counts_every_sign_pattern(differences: np.ndarray) -> None:
    expected = [every_sign(column) for column in differences.T]
    assert paired_permutation(differences) == pytest.approx(expected)
    assert paired_permutation(-7 * differences) == pytest.approx(expected)


def test_random_permutations_agree_with_the_exact_test_and_with_scipy() -> None:
    differences = np.random.default_rng(6).normal(0.3, 1, (12, 5))
    exact = paired_permutation(differences)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, axis=0
    )
    assert exact == pytest.approx(theirs.pvalue)
    drawn = paired_permutation(differences, resamples=4000)
    assert np.abs(drawn - exact).max() < 4 * 0.5 / math.sqrt(4000)
    assert np.array_equal(drawn, paired_permutation(differences, resamples=4000))
    assert not np.array_equal(drawn, paired_permutation(differences, resamples=4000, seed=1))


def test_permutation_p_is_uniform_under_the_null_and_never_0() -> None:
    rng = np.random.default_rng(7)
    p = paired_permutation(rng.normal(size=(20, 2000)), resamples=999)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    sure = paired_permutation(np.full((30, 1), 5.0), resamples=999)
    assert sure[0] == pytest.approx(1 / 1000)


def test_permutation_edge_cases() -> None:
    assert paired_permutation([0.0] * 6) == pytest.approx([1])
    assert paired_permutation([3.0]) == pytest.approx([1])
    assert np.isnan(paired_permutation(np.zeros((0, 2)))).all()
    with_nan = paired_permutation([[1.0, math.nan], [2.0, 1.0], [4.0, 1.0]])
    assert with_nan[0] == pytest.approx(2 / 8) and math.isnan(with_nan[1])
    with pytest.raises(InputError, match="3 dimensions"):
        paired_permutation(np.zeros((2, 2, 2)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(1, 200), st.integers(1, 500), st.integers(0, 9))
def test_signs_in_blocks_are_those_drawn_at_once(n: int, resamples: int, block: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rewire.statistics.BLOCK", block)
        parts = list(sign_flips(n, resamples, seed))
    count, exact = permutations(n, resamples)
    assert max(part.size for part in parts) <= max(block, n)
    if exact:
        expected = np.where(np.arange(2**n)[:, None] >> np.arange(n) & 1, -1.0, 1.0)
    else:
        expected = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(resamples, n))
    assert np.array_equal(np.vstack(parts), expected) and count == len(expected)


@pytest.mark.parametrize("n", [7, 40])
def test_blocks_change_no_p_value(n: int, monkeypatch) -> None:
    differences = np.random.default_rng(8).normal(0.2, 1, (n, 6))
    differences[2, 3] = math.nan
    at_once = paired_permutation(differences, resamples=300, seed=5)
    monkeypatch.setattr("rewire.statistics.BLOCK", 4 * n)
    assert np.array_equal(at_once, paired_permutation(differences, resamples=300, seed=5), equal_nan=True)


def test_memory_of_a_permutation_test_does_not_grow_with_the_examples(monkeypatch) -> None:
    monkeypatch.setattr("rewire.statistics.BLOCK", 50_000)
    peaks = []
    for n in (100, 800):
        tracemalloc.start()
        paired_permutation(np.ones(n), resamples=5000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def slow_benjamini_hochberg(p: list[float]) -> list[float]:
    """The smallest over all p_(j) >= p_i of p_(j) m / j, at most 1."""
    ordered = sorted(p)
    levels = [min(1.0, value * len(p) / rank) for rank, value in enumerate(ordered, start=1)]
    return [min(level for value, level in zip(ordered, levels, strict=True) if value >= one) for one in p]


@settings(max_examples=60, deadline=None)
@given(probabilities)
def test_q_values_are_those_of_the_definition(p: list[float]) -> None:
    q = benjamini_hochberg(p)
    assert q == pytest.approx(slow_benjamini_hochberg(p))
    assert (q >= np.asarray(p) - 1e-15).all() and (q <= 1).all()


@settings(max_examples=30, deadline=None)
@given(probabilities, st.integers(0, 30))
def test_nan_stays_and_does_not_count(p: list[float], at: int) -> None:
    at = min(at, len(p))
    q = benjamini_hochberg([*p[:at], math.nan, *p[at:]])
    assert math.isnan(q[at]) and np.delete(q, at) == pytest.approx(benjamini_hochberg(p))


def test_q_values_keep_the_shape_and_nothing_tested_is_fine() -> None:
    p = np.array([[0.01, 0.5], [math.nan, 0.02]])
    q = benjamini_hochberg(p)
    assert q.shape == (2, 2) and q[0, 0] == pytest.approx(0.03) and q[1, 1] == pytest.approx(0.03)
    assert np.isnan(benjamini_hochberg([math.nan])).all() and benjamini_hochberg([]).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(st.integers(MINIMUM, 200), st.floats(0, 1))
def test_exact_bounds_invert_the_binomial_test(trials: int, share: float) -> None:
    successes = round(share * trials)
    found = proportion(successes, trials)
    assert found.value == successes / trials and found.low <= found.value <= found.high
    if successes:
        assert stats.binom.sf(successes - 1, trials, found.low) == pytest.approx(0.025)
    if successes < trials:
        assert stats.binom.cdf(successes, trials, found.high) == pytest.approx(0.025)


def test_few_trials_have_no_bounds() -> None:
    few, none = proportion(2, MINIMUM - 1), proportion(0, 0)
    assert few.value == 0.5 and math.isnan(few.low) and math.isnan(few.high)
    assert math.isnan(none.value) and math.isnan(none.low)
