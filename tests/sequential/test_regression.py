import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from scipy.optimize import curve_fit
from sequential.pair_rows import pair_rows

from rewire.errors import InputError
from rewire.sequential import regression
from rewire.sequential.tables import PAIRS
from rewire.tables import read_table, write_table

OVERLAPS = regression.OVERLAPS
PAIRS_PUBLISHED, R_PUBLISHED, R2_PUBLISHED, LOGISTIC_PUBLISHED = 41, -0.820, 0.672, 0.859


@pytest.fixture(autouse=True)
def two_overlaps(monkeypatch):
    """The columns are alike here, and one test counts them."""
    monkeypatch.setattr(regression, "OVERLAPS", ("edge_jaccard", "weighted_jaccard_alone"))


def test_every_overlap_of_a_pair_is_a_column():
    names = [name for name in PAIRS.names if "jaccard" in name and not name.endswith(("_low", "_high"))]
    assert sorted(OVERLAPS) == sorted(names)


def orthogonal(values, *others):
    """``values`` without their parts along ``others`` (Gram-Schmidt), of length 1."""
    basis = np.linalg.qr(np.stack(others, axis=1))[0]
    values = values - basis @ (basis.T @ values)
    return values / np.linalg.norm(values)


def correlated(n, r, seed=0):
    """x and y [n] whose correlation is ``r``: y is r of x and sqrt(1 - r^2) of what is orthogonal to x."""
    rng = np.random.default_rng(seed)
    x, one = rng.uniform(0.1, 0.9, n), np.ones(n)
    along = orthogonal(x, one)
    across = orthogonal(rng.normal(size=n), one, x)
    return x, 0.4 + 0.8 * (r * along + np.sqrt(1 - r * r) * across)


def about_a_curve(n, slope, intercept, r2, seed=0):
    """x and y [n] whose least-squares logistic curve and its R^2 are known.

    Residuals orthogonal to the curve's derivatives leave its parameters where they are; orthogonal to it and to 1 they
    add to its variance.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9, n)
    curve = special.expit(intercept + slope * x)
    steepness = curve * (1 - curve)
    noise = orthogonal(rng.normal(size=n), np.ones(n), curve, steepness, steepness * x)
    return x, curve + noise * np.sqrt(np.sum((curve - curve.mean()) ** 2) * (1 / r2 - 1))


def written(folder, x, y, **changes):
    write_table(folder / "pairs.parquet", pair_rows(x, y, **changes), PAIRS)
    regression.write_regression(folder / "pairs.parquet", folder / "regression.parquet", {"seed": 0})
    return read_table(folder / "regression.parquet").to_pandas()


def value(table, fit, statistic, overlap="edge_jaccard"):
    at = (table["fit"] == fit) & (table["statistic"] == statistic) & (table["overlap"] == overlap)
    return table[at].iloc[0]


def test_rows_made_to_the_published_correlation_give_it_back(tmp_path):
    x, y = correlated(PAIRS_PUBLISHED, R_PUBLISHED)
    table = written(tmp_path, x, y)
    assert value(table, "linear", "r")["value"] == pytest.approx(R_PUBLISHED, abs=1e-12)
    assert value(table, "linear", "r2")["value"] == pytest.approx(R2_PUBLISHED, abs=0.0005)
    peer = stats.linregress(x, y)
    for name, found in (("slope", peer.slope), ("intercept", peer.intercept), ("r", peer.rvalue)):
        row = value(table, "linear", name)
        assert row["value"] == pytest.approx(found, rel=1e-9)
        assert row["low"] < row["value"] < row["high"] and row["pairs"] == PAIRS_PUBLISHED and row["enough"]
    assert value(table, "spearman", "rho")["value"] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_rows_made_to_the_published_logistic_fit_give_it_back(tmp_path):
    table = written(tmp_path, *about_a_curve(PAIRS_PUBLISHED, -9.0, 4.0, LOGISTIC_PUBLISHED))
    for name, expected in (("slope", -9.0), ("intercept", 4.0), ("r2", LOGISTIC_PUBLISHED)):
        row = value(table, "logistic", name)
        assert row["value"] == pytest.approx(expected, rel=1e-5)
        assert row["low"] < row["value"] < row["high"]


@given(st.floats(-12, 12).filter(lambda slope: abs(slope) > 0.3), st.floats(-3, 3), st.integers(0, 9))
def test_a_logistic_curve_is_recovered(slope, middle, seed):
    x = np.random.default_rng(seed).uniform(0, 1, 30)
    intercept = middle - slope / 2
    found = regression.logistic(x[None], special.expit(intercept + slope * x)[None])
    assert found["slope"][0] == pytest.approx(slope, rel=1e-4, abs=1e-4)
    assert found["intercept"][0] == pytest.approx(intercept, rel=1e-4, abs=1e-3)
    assert found["r2"][0] == pytest.approx(1, abs=1e-9)


def test_resamples_are_fitted_as_scipy_fits_them_one_by_one():
    x, y = regression.resampled(*about_a_curve(14, -7.0, 3.0, 0.8), seed=1)
    found = regression.logistic(x, y)
    alike = 0
    for i in range(0, len(x), 100):
        peer = curve_fit(curve, x[i], y[i], p0=(-7.0, 3.0))[0]
        own = found["slope"][i], found["intercept"][i]
        squares, theirs = (np.sum((curve(x[i], *fit) - y[i]) ** 2) for fit in (own, peer))
        assert squares <= theirs * (1 + 1e-9)
        if squares > theirs * (1 - 1e-6):  # the same minimum; from one start scipy may stay in another
            assert own == pytest.approx(peer, rel=1e-3)
            alike += 1
    assert alike >= 15  # of 20


@pytest.mark.filterwarnings("ignore:Covariance of the parameters")
def test_noisy_rows_end_in_the_lowest_of_their_minima():
    """The lowest sum of squares that scipy reaches from 24 starts, row by row; one start alone misses it in one of ten."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.1, 0.45, (30, 12))
    y = special.expit(-12 * (x - 0.25)) + rng.normal(0, 0.25, x.shape)
    found, total = regression.logistic(x, y), np.sum((y - y.mean(axis=1, keepdims=True)) ** 2, axis=1)
    for i in range(len(x)):
        lowest = np.inf
        for slope in (-200, -60, -20, -5, 5, 20, 60, 200):
            for middle in np.quantile(x[i], (0.1, 0.5, 0.9)):
                with contextlib.suppress(RuntimeError):  # no minimum from there
                    peer = curve_fit(curve, x[i], y[i], p0=(slope, -slope * middle), maxfev=2000)[0]
                    lowest = min(lowest, np.sum((curve(x[i], *peer) - y[i]) ** 2))
        assert 1 - found["r2"][i] <= lowest / total[i] + 1e-6
        own = curve(x[i], found["slope"][i], found["intercept"][i])
        assert 1 - found["r2"][i] == pytest.approx(np.sum((own - y[i]) ** 2) / total[i])


def curve(x, slope, intercept):
    return special.expit(slope * x + intercept)


@given(st.floats(-0.99, 0.99), st.integers(4, 60), st.integers(0, 9))
def test_any_correlation_is_given_back(r, n, seed):
    x, y = correlated(n, r, seed)
    assert regression.linear(x[None], y[None])["r"][0] == pytest.approx(r, abs=1e-9)


@given(st.integers(0, 30))
def test_ranks_do_not_mind_a_monotone_curve(seed):
    x, y = correlated(15, 0.5, seed)
    straight = regression.spearman(x[None], y[None])["rho"]
    assert regression.spearman(np.exp(3 * x)[None], (y**3)[None])["rho"] == pytest.approx(straight)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """Of 200 samples of 30 pairs with r = -.6, a bootstrap interval of 95 % misses about 5 % (up to twice that)."""
    rng, missed = np.random.default_rng(0), 0
    for seed in range(200):
        x, noise = rng.normal(size=(2, 30))
        low, high = regression.fitted(regression.linear, x, -0.6 * x + 0.8 * noise, seed)["r"][1:]
        missed += not low <= -0.6 <= high
    assert missed <= 22


def test_pairs_that_never_learned_are_left_out_and_counted(tmp_path):
    x, y = correlated(12, -0.5)
    y[:3] = np.nan
    table = written(tmp_path, x, y)
    assert set(table["pairs"]) == {9} and set(table["excluded"]) == {3}
    assert value(table, "linear", "r")["value"] == pytest.approx(stats.pearsonr(x[3:], y[3:]).statistic)


def test_pairs_without_a_value_are_counted_apart(tmp_path):
    rows = pair_rows(*correlated(12, -0.5))
    rows[0] |= {"learned": False, "forgetting": None}
    for i in (1, 2):
        rows[i]["forgetting"] = np.nan
    rows[3]["edge_jaccard"] = np.nan
    write_table(tmp_path / "pairs.parquet", rows, PAIRS)
    regression.write_regression(tmp_path / "pairs.parquet", tmp_path / "r", {"seed": 0})
    table = read_table(tmp_path / "r").to_pandas()
    counts = table.groupby("overlap")[["pairs", "excluded", "undefined"]].agg(["min", "max"])
    assert counts.loc["edge_jaccard"].tolist() == [8, 8, 1, 1, 3, 3]
    assert counts.loc["weighted_jaccard_alone"].tolist() == [9, 9, 1, 1, 2, 2]


def test_pairs_whose_second_task_was_not_learned_stay_and_are_counted(tmp_path):
    x, y = correlated(12, -0.5)
    y[0] = np.nan
    rows = pair_rows(x, y)
    for i in (0, 1, 2, 3):  # the first of them is in no fit
        rows[i]["second_learned"] = False
    write_table(tmp_path / "pairs.parquet", rows, PAIRS)
    regression.write_regression(tmp_path / "pairs.parquet", tmp_path / "r", {"seed": 0})
    table = read_table(tmp_path / "r").to_pandas()
    assert set(table["pairs"]) == {11} and set(table["second_unlearned"]) == {3}
    assert value(table, "linear", "r")["value"] == pytest.approx(stats.pearsonr(x[1:], y[1:]).statistic)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_few_pairs_have_no_interval_and_say_so(tmp_path, n):
    x, y = (values[:n] for values in correlated(6, -0.5))
    table = written(tmp_path, np.append(x, 0.5), np.append(y, np.nan))
    assert not table["enough"].any() and table["low"].isna().all() and set(table["pairs"]) == {n}
    assert np.isfinite(table["value"]).any() == (n >= 2)


def test_nothing_forgotten_has_no_correlation(tmp_path):
    table = written(tmp_path, correlated(12, 0.1)[0], np.zeros(12))
    assert np.isnan(value(table, "linear", "r")["value"]) and np.isnan(
        value(table, "logistic", "r2")["value"]
    )
    mostly = written(tmp_path, correlated(12, 0.1)[0], np.array([0.5] + [0.0] * 11))
    assert np.isfinite(value(mostly, "linear", "r")["value"]) and not value(mostly, "linear", "r")["enough"]


def test_variants_are_apart_and_bytes_repeat(tmp_path):
    x, y = correlated(8, -0.9)
    other = correlated(8, 0.3)[1]
    rows = [*pair_rows(x, y, variant="kept"), *pair_rows(x, other, variant="low")]
    write_table(tmp_path / "pairs.parquet", rows, PAIRS)
    for name in "ab":
        regression.write_regression(tmp_path / "pairs.parquet", tmp_path / name, {"seed": 0})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    table = read_table(tmp_path / "a").to_pandas()
    found = table[(table["statistic"] == "r") & (table["overlap"] == "edge_jaccard")].set_index("variant")
    assert found["value"].to_dict() == pytest.approx({"kept": -0.9, "low": 0.3})


def test_a_band_holds_its_curve_and_is_none_for_few_pairs():
    x, y = about_a_curve(20, -8.0, 4.0, 0.9)
    grid = np.linspace(0, 1, 11)
    for name in regression.CURVES:
        value_, low, high = regression.band(name, x, y, grid)
        assert (low <= value_).all() and (value_ <= high).all() and (low < high).all()
        few = regression.band(name, x[:4], y[:4], grid)
        assert np.isfinite(few[0]).all() and np.isnan(few[1:]).all()
    assert regression.band("logistic", x, y, grid)[0] == pytest.approx(special.expit(4 - 8 * grid), rel=1e-4)


def test_a_table_without_a_column_is_named(tmp_path):
    from rewire.tables import schema

    write_table(tmp_path / "pairs.parquet", [{"run": "a"}], schema(run="string"))
    with pytest.raises(InputError, match="pairs.parquet: no column 'kind'"):
        regression.write_regression(tmp_path / "pairs.parquet", tmp_path / "r.parquet", {"seed": 0})
    assert not (tmp_path / "r.parquet").exists()
