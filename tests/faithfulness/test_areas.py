import numpy as np
import pytest

from rewire.faithfulness.areas import rows
from rewire.faithfulness.resamples import Resamples

N = 8
WHOLE = {"clean": {"nll": np.ones(N)}, "corrupted": {"nll": np.linspace(2.5, 3.5, N)}}
RESAMPLES = Resamples(N, 200)


def line(circuit, ranking, values, draw=0):
    """Rows of one curve whose f is ``values`` at 10, 50 and 100 % of the edges, for every example alike."""
    clean, corrupted = WHOLE["clean"]["nll"], WHOLE["corrupted"]["nll"]
    return [
        {
            "circuit": circuit,
            "ranking": ranking,
            "draw": draw,
            "fraction": fraction,
            "nll": (corrupted + f * (clean - corrupted)).tolist(),
        }
        for fraction, f in zip((0.1, 0.5, 1.0), values, strict=True)
    ]


def areas(curve, whole=WHOLE):
    found = rows(curve, whole, RESAMPLES)
    return {(row["area"], row["circuit"], row["draw"]): row for row in found}


def test_areas_by_hand_each_with_the_ranking_it_is_defined_for():
    curve = line("circuit", "signed", (0.5, 1.2, 1.0)) + line("circuit", "absolute", (0.4, 0.9, 1.0))
    found = areas(curve)
    cpr, cmd = (found[area, "circuit", 0] for area in ("CPR", "CMD"))
    assert cpr["value"] == pytest.approx(0.4 * (0.5 + 1.2) / 2 + 0.5 * (1.2 + 1.0) / 2)
    assert cmd["value"] == pytest.approx(0.4 * (0.6 + 0.1) / 2 + 0.5 * (0.1 + 0.0) / 2)
    for row in (cpr, cmd):  # f is the same for every example, so no resample moves it
        assert row["low"] == pytest.approx(row["value"]) and row["high"] == pytest.approx(row["value"])
        assert row["examples"] == N


def test_examples_are_resampled_together_over_the_fractions():
    curve = line("circuit", "signed", (0.2, 0.6, 1.0))
    noise = np.random.default_rng(0).normal(0, 0.3, N)
    for row in curve:
        row["nll"] = (np.array(row["nll"]) + noise).tolist()
    found = areas(curve)["CPR", "circuit", 0]
    means = RESAMPLES.means(np.array([row["nll"] for row in curve]))
    clean, corrupted = (RESAMPLES.means(WHOLE[run]["nll"]) for run in ("clean", "corrupted"))
    faithful = (means - corrupted) / (clean - corrupted)
    drawn = 0.4 * (faithful[0] + faithful[1]) / 2 + 0.5 * (faithful[1] + faithful[2]) / 2
    assert found["value"] == pytest.approx(drawn[0])
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(drawn[1:], (0.025, 0.975)))


def test_p_of_cmd_is_the_share_of_random_curves_that_are_as_good_and_cpr_has_none():
    curve = line("circuit", "signed", (0.5, 0.9, 1.0)) + line("circuit", "absolute", (0.5, 0.9, 1.0))
    curve += line("random", "absolute", (0.6, 0.95, 1.0), draw=0)
    for draw in range(1, 20):
        curve += line("random", "absolute", (0.0, 0.2, 1.0), draw)
    found = areas(curve)
    assert found["CMD", "circuit", 0]["p"] == pytest.approx(2 / 21)
    assert found["CPR", "circuit", 0]["p"] is None, "random circuits do not match those by signed score"
    assert all(found[area, "random", 3]["p"] is None for area in ("CPR", "CMD"))


def test_no_interval_where_corruption_may_change_nothing():
    whole = WHOLE | {"corrupted": {"nll": 1 + np.tile([-1.0, 1.1], N // 2)}}
    found = areas(line("circuit", "absolute", (0.5, 0.9, 1.0)), whole)["CMD", "circuit", 0]
    assert (
        np.isfinite(found["value"]) and np.isnan([found["low"], found["high"]]).all() and found["p"] is None
    )
