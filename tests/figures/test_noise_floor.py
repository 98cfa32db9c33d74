import numpy as np
import pandas as pd
import pytest

from rewire.figures.frames import read_frame
from rewire.figures.noise_floor import Spread, noise_floor, spread
from rewire.figures.robustness import AGREEMENT


def test_mean_and_percentiles_of_the_known_values():
    found = spread(pd.DataFrame({"x": [np.nan, *np.linspace(0, 1, 21)]}), "x")
    assert found == pytest.approx((0.5, 0.05, 0.95))
    assert str(found) == "0.50 (5–95 %: 0.05–0.95)"


def test_too_few_values_have_a_mean_alone_and_none_nothing():
    few = spread(pd.DataFrame({"x": [0.2, 0.4]}), "x")
    assert few.mean == pytest.approx(0.3) and np.isnan([few.low, few.high]).all() and str(few) == "0.30"
    nothing = spread(pd.DataFrame({"x": [np.nan]}), "x")
    assert np.isnan(nothing).all() and str(nothing) == "not measured"


def test_the_floor_is_of_one_model_and_of_resamples_alone(tables):
    agreement = read_frame(tables.agreement(), AGREEMENT)
    own = agreement[(agreement["model"] == "final") & (agreement["study"] == "bootstrap")]["node_jaccard"]
    expected = Spread(own.mean(), own.quantile(0.05), own.quantile(0.95))
    assert noise_floor(agreement, "final", "node_jaccard") == pytest.approx(expected)
    assert np.isnan(noise_floor(agreement, "nobody", "node_jaccard").mean)
