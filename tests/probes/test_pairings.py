"""Groups whose grids are alike correlate and stand together."""

import numpy as np
import pandas as pd
import pytest

from rewire.probes.pairings import pairing_rows


def summary(grids, site="z", place=None):
    """Group -> values of the heads of two layers."""
    return [
        {
            "group": group,
            "site": site,
            "layer": i if place else i // 4,
            "head": None if place else i % 4,
            "place": place,
        }
        | {"measure": "recovered", "value": None if np.isnan(value) else value}
        for group, values in grids.items()
        for i, value in enumerate(values)
    ]


def test_correlations_and_the_order_of_clusters():
    generator = np.random.default_rng(0)
    one, two = generator.normal(size=(2, 8))
    noise = lambda: 0.05 * generator.normal(size=8)  # noqa: E731
    grids = {"all": one, "a": one + noise(), "x": two + noise(), "b": one + noise(), "y": two + noise()}
    rows = pd.DataFrame(pairing_rows(summary(grids)))
    cell = rows.set_index(["group", "other"])
    assert (
        set(rows["group"]) == {"a", "x", "b", "y"}
        and (rows["n"] == 8).all()
        and (rows["sites"] == "heads").all()
    )
    expected = np.corrcoef(grids["a"], grids["x"])[0, 1]
    assert cell.loc[("a", "x"), "pearson"] == pytest.approx(expected)
    assert cell.loc[("a", "b"), "spearman"] > 0.9 and cell.loc[("a", "a"), "pearson"] == pytest.approx(1)
    place = rows.drop_duplicates("group").set_index("group")["place"]
    assert sorted(place) == [0, 1, 2, 3] and abs(place["a"] - place["b"]) == abs(place["x"] - place["y"]) == 1


def test_only_places_that_every_group_has():
    grids = {"a": np.arange(8.0), "b": np.array([0, 2, 1, np.nan, 5, 3, 4, 9.0])}
    heads, components = summary(grids), summary(grids, "mlp_out", "pronoun")
    rows = pd.DataFrame(pairing_rows(heads + components))
    assert set(rows["sites"]) == {"heads", "components"} and (rows["n"] == 7).all()


def test_one_group_is_compared_with_nothing():
    assert list(pairing_rows(summary({"all": np.ones(8), "a": np.ones(8)}))) == []
    constant = pd.DataFrame(pairing_rows(summary({"a": np.ones(8), "b": np.arange(8.0)})))
    assert constant["pearson"].isna().sum() == 3  # a constant correlates with nothing
