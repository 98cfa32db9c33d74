"""Running moments and tests of neurons against numpy and scipy on all values at once."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from rewire.differential.neurons import SCHEMA, NeuronMoments


def batches(n=20, shape=(2, 5), seed=0):
    noise = np.random.default_rng(seed)
    base = noise.normal(3, 1, (n, *shape))
    return base, base + noise.normal(0.2, 0.5, base.shape)


def moments(base, tuned, cuts=()):
    found = NeuronMoments(*base.shape[1:])
    for layer in range(base.shape[1]):
        for p, q in zip(np.split(base[:, layer], cuts), np.split(tuned[:, layer], cuts), strict=True):
            found.add(layer, p, q)
    return found


def test_columns_are_those_of_all_values_at_once():
    base, tuned = batches()
    columns = moments(base, tuned, cuts=(3, 4, 11)).columns()
    difference = tuned - base
    np.testing.assert_allclose(columns["mean_base"], base.mean(0))
    np.testing.assert_allclose(columns["difference"], difference.mean(0))
    pooled = np.sqrt((base.var(0, ddof=1) + tuned.var(0, ddof=1)) / 2)
    np.testing.assert_allclose(columns["cohens_d"], difference.mean(0) / pooled)
    test = stats.ttest_rel(tuned, base)
    np.testing.assert_allclose(columns["p"], test.pvalue)
    interval = test.confidence_interval(0.95)
    np.testing.assert_allclose(columns["low"], interval.low)
    np.testing.assert_allclose(columns["high"], interval.high)
    np.testing.assert_allclose(
        columns["q"], stats.false_discovery_control(test.pvalue, axis=None).reshape(2, 5)
    )


@pytest.mark.parametrize("cuts", [(1, 2, 3), (10,), tuple(range(1, 20))])
def test_batches_change_nothing(cuts):
    base, tuned = batches(seed=1)
    whole, pieces = moments(base, tuned).columns(), moments(base, tuned, cuts).columns()
    for name in whole:
        np.testing.assert_allclose(whole[name], pieces[name], rtol=1e-10)


def test_few_examples_have_no_interval_and_no_test():
    columns = moments(*batches(n=4)).columns()
    for name in ("low", "high", "p", "q"):
        assert np.isnan(columns[name]).all(), name
    assert np.isfinite(columns["cohens_d"]).all()
    alone = moments(*batches(n=1)).columns()
    assert np.isnan(alone["cohens_d"]).all() and np.isfinite(alone["difference"]).all()


def test_neurons_that_never_change_or_always_say_the_same(tmp_path):
    base = np.ones((8, 1, 3))
    tuned = base + np.array([0.0, 1.0, 0.0])
    tuned[:, 0, 2] += np.linspace(-1, 1, 8)
    columns = moments(base, tuned).columns()
    assert columns["cohens_d"][0, 0] == 0 and columns["p"][0, 0] == 1
    assert (
        np.isnan(columns["cohens_d"][0, 1]) and columns["p"][0, 1] == 0
    )  # no spread between examples to measure by
    moments(base, tuned).write(tmp_path / "n.parquet")
    rows = pq.read_table(tmp_path / "n.parquet").to_pylist()
    assert rows[1]["cohens_d"] is None and rows[1]["rank"] == 3


def test_the_table_ranks_neurons_within_their_layer(tmp_path):
    moments(*batches()).write(tmp_path / "n.parquet")
    table = pq.read_table(tmp_path / "n.parquet")
    assert table.schema == SCHEMA and table.num_rows == 10
    for _, rows in table.to_pandas().groupby("layer"):
        ordered = rows.sort_values("rank")
        assert ordered["rank"].tolist() == [1, 2, 3, 4, 5]
        assert ordered["cohens_d"].abs().is_monotonic_decreasing and (rows["n"] == 20).all()
