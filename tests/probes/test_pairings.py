"""Groups whose profiles are alike correlate and stand together; parts that all use are told from those that some use."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rewire.errors import InputError
from rewire.probes import agreement, comparison, pairings
from rewire.probes.agreement import agreement_rows, welch
from rewire.probes.pairings import pairing_rows
from rewire.probes.profiles import profiles
from rewire.tables import schema, write_table

N = 10
NO_NEURONS = pd.DataFrame(columns=comparison.NEURONS)
NO_READINGS = pd.DataFrame(columns=comparison.SUMMARY)


def summary(grids, site="z", place=None, run=None, measure="recovered"):
    """Group -> values of the heads of two layers, or of layers at a label."""
    rows = [
        {"group": group, "run": run, "site": site, "place": place, "measure": measure}
        | {"layer": i if place else i // 4, "head": None if place else i % 4}
        | {"value": value, "low": value - 0.1, "high": value + 0.1, "n": N}
        for group, values in grids.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=comparison.SUMMARY)


def neurons(grids):
    """Group -> what the neurons of layer 1 recover."""
    rows = [
        {"group": group, "layer": 1, "neuron": i, "recovered": value, "n": N}
        | {"recovered_low": value - 0.1, "recovered_high": value + 0.1}
        for group, values in grids.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=comparison.NEURONS)


def compared(*tables, single=NO_NEURONS, read=NO_READINGS):
    return list(profiles(pd.concat(tables, ignore_index=True) if tables else NO_READINGS, single, read))


@pytest.fixture(scope="module")
def grids():
    """Two kinds of groups, and all of them together."""
    generator = np.random.default_rng(0)
    one, two = generator.normal(size=(2, 8))
    noise = lambda: 0.05 * generator.normal(size=8)  # noqa: E731
    return {"all": one, "a": one + noise(), "x": two + noise(), "b": one + noise(), "y": two + noise()}


def test_correlations_and_the_order_of_clusters(grids):
    rows = pd.DataFrame(pairing_rows(compared(summary(grids))))
    cell = rows.set_index(["group", "other"])
    assert set(rows["group"]) == {"a", "x", "b", "y"}
    assert (rows["n"] == 8).all() and (rows["sites"] == "heads").all()
    expected = np.corrcoef(grids["a"], grids["x"])[0, 1]
    assert cell.loc[("a", "x"), "pearson"] == pytest.approx(expected)
    assert cell.loc[("a", "b"), "spearman"] > 0.9 and cell.loc[("a", "a"), "pearson"] == pytest.approx(1)
    place = rows.drop_duplicates("group").set_index("group")["place"]
    assert sorted(place) == [0, 1, 2, 3] and abs(place["a"] - place["b"]) == abs(place["x"] - place["y"]) == 1


def test_neurons_and_attribution_are_compared_too(grids):
    written = summary(grids, "direct:head", run="clean", measure="logit_diff")
    other_run = summary(
        {name: -values for name, values in grids.items()},
        "direct:head",
        run="corrupted",
        measure="logit_diff",
    )
    rows = pd.DataFrame(pairing_rows(compared(single=neurons(grids), read=pd.concat([written, other_run]))))
    assert set(rows["sites"]) == {"neurons", "attribution"} and (rows["n"] == 8).all()
    assert rows.groupby("sites")["measure"].unique().str[0].to_dict() == {
        "neurons": "recovered",
        "attribution": "logit_diff",
    }
    for _, own in rows.groupby("sites"):
        cell = own.set_index(["group", "other"])["pearson"]
        assert cell["a", "x"] == pytest.approx(np.corrcoef(grids["a"], grids["x"])[0, 1])


def test_only_places_that_every_group_has():
    grids = {"a": np.arange(8.0), "b": np.array([0, 2, 1, np.nan, 5, 3, 4, 9.0])}
    rows = pd.DataFrame(pairing_rows(compared(summary(grids), summary(grids, "mlp_out", "pronoun"))))
    assert set(rows["sites"]) == {"heads", "components"} and (rows["n"] == 7).all()


def test_a_token_with_two_labels_is_compared_once():
    """`name` is the first that differs, `verb` the last, in one study; in another a group's `verb` is not the last."""
    generator = np.random.default_rng(3)
    one, two = ({group: generator.normal(size=4) for group in "ab"} for _ in range(2))

    def labels(**grids):
        tables = [summary(grid, "residual_pre", label) for label, grid in grids.items()]
        rows = next(profile for profile in compared(*tables) if profile.family == "components").rows
        return sorted(set(rows["place"]))

    assert labels(name=one, difference=one, verb=two, last=two) == ["name", "verb"]
    assert labels(difference=one, last=one) == ["last"]
    assert labels(name=one, same=one, difference=two) == ["difference", "name", "same"]
    elsewhere = two | {"b": two["b"] + [0, 0, 0, 1e-9]}
    assert labels(name=one, verb=elsewhere, last=two) == ["last", "name", "verb"]
    assert labels(name=one, verb={"a": two["a"]}, last=two) == ["last", "name", "verb"]
    rows = pd.DataFrame(
        pairing_rows(
            compared(summary(one, "residual_pre", "name"), summary(one, "residual_pre", "difference"))
        )
    )
    assert (rows["n"] == 4).all()


def test_one_group_is_compared_with_nothing():
    alone = compared(summary({"all": np.ones(8), "a": np.ones(8)}))
    assert list(pairing_rows(alone)) == [] and list(agreement_rows(alone)) == []
    constant = pd.DataFrame(pairing_rows(compared(summary({"a": np.ones(8), "b": np.arange(8.0)}))))
    assert constant["pearson"].isna().sum() == 3  # a constant correlates with nothing


class TestAgreement:
    def test_parts_that_all_groups_use_agree_and_those_that_some_use_differ(self):
        shared = np.array([0.9, 0.01, 0.02, 0.03, 0.0, 0.0, 0.0, 0.0])
        own = np.array([0, 0, 0, 0, 0, 0.8, 0, 0])
        rows = pd.DataFrame(agreement_rows(compared(summary({"a": shared, "b": shared + own, "c": shared}))))
        head = rows.set_index(["layer", "head"])
        first, second = head.loc[(0, 0)], head.loc[(1, 1)]
        assert first["verdict"] == "agree" and first["leading"] == ["a", "b", "c"] and first["leads_in"] == 3
        assert first["mean"] == pytest.approx(0.9) and first["spread"] == 0 and first["p"] == 1
        assert second["verdict"] == "differ" and second["leading"] == ["b"] and second["q"] < 0.001
        assert (second["least"], second["most"], second["groups"]) == (0, 0.8, 3)
        assert head.loc[(0, 3), "verdict"] == "open" and head.loc[(0, 3), "leading"] == ["a", "c"]
        assert (0, 2) not in head.index and set(rows["site"]) == {"z"}  # leads nowhere

    def test_welchs_test_is_scipys(self):
        generator = np.random.default_rng(1)
        samples = [
            generator.normal(shift, scale, size)
            for shift, scale, size in ((0, 1, 9), (0.6, 3, 6), (0, 0.4, 12))
        ]
        values, errors, n = (np.array([[f(sample)] for sample in samples]) for f in (np.mean, stats.sem, len))
        expected = stats.f_oneway(*samples, equal_var=False).pvalue
        assert welch(values, errors, n) == pytest.approx([expected])

    def test_rounding_is_no_difference_and_no_certainty(self):
        """Places: 1 but for rounding; the same of a large number; two groups of no spread that differ; one without spread."""
        values = np.array([[1, 5e8, 0, 1.0], [1 + 1e-9, 5e8 + 1, 1, 1.1], [1 - 1e-8, 5e8, 1, 1.0]])
        errors = np.array([[1e-12, 3, 0, 1e-17], [1e-10, 0, 0, 0.1], [0, 1, 0, 0.1]])
        same, large, apart, one = welch(values, errors, np.full((3, 4), 9))
        assert same == large == 1 and np.isnan(apart) and 0.2 < one < 1
        far = np.where(errors == 0.1, 0.001, errors)
        assert welch(values, far, np.full((3, 4), 9))[3] < 1e-6
        assert np.isnan(welch(values, errors, np.full((3, 4), 4))).all()

    def test_false_positives_are_held_from_bootstrap_intervals_of_few_prompts(self):
        """Three groups of eight prompts that are one, 600 places: errors taken from percentile bootstraps of the means."""
        generator = np.random.default_rng(2)
        groups, prompts, where = 3, 8, 600
        sample = generator.normal(size=(groups, where, prompts))
        drawn = generator.integers(prompts, size=(400, prompts))
        low, high = np.quantile(sample[..., drawn].mean(axis=-1), (0.025, 0.975), axis=-1)
        errors = (high - low) / agreement.NORMAL * np.sqrt(prompts / (prompts - 1))
        p = welch(sample.mean(axis=-1), errors, np.full((groups, where), prompts))
        assert 0.01 < (p < 0.05).mean() < 0.09 and 0.4 < (p < 0.5).mean() < 0.6

    def test_without_intervals_there_is_no_test(self):
        table = summary({"a": np.arange(8.0), "b": np.arange(8.0)}).assign(low=np.nan)
        rows = pd.DataFrame(agreement_rows(compared(table)))
        assert rows["p"].isna().all() and set(rows["verdict"]) == {"untested"}


def test_the_tables_of_a_study(grids, tmp_path):
    columns = dict.fromkeys(("group", "run", "site", "place", "measure"), "string")
    numbers = dict.fromkeys(("value", "low", "high"), "float64") | dict.fromkeys(
        ("layer", "head", "n"), "int32"
    )
    single = {"group": "string"} | dict.fromkeys(("layer", "neuron", "n"), "int32")
    single |= dict.fromkeys(("recovered", "recovered_low", "recovered_high"), "float64")
    paths = {
        name: tmp_path / f"{name}.parquet"
        for name in ("summary", "neurons", "readings", "pairings", "agreement")
    }
    rows = summary(grids).astype(object).where(summary(grids).notna(), None).to_dict("records")
    write_table(paths["summary"], rows, schema(**columns, **numbers))
    write_table(paths["readings"], [], schema(**columns, **numbers))
    write_table(paths["neurons"], neurons(grids).to_dict("records"), schema(**single))
    read = [paths[name] for name in ("summary", "neurons", "readings")]
    comparison.write_comparison(*read, paths)
    before = {name: paths[name].read_bytes() for name in ("pairings", "agreement")}
    assert set(pd.read_parquet(paths["pairings"])["sites"]) == {"heads", "neurons"}
    assert set(pd.read_parquet(paths["agreement"])["sites"]) == {"heads", "neurons"}
    comparison.write_comparison(*read, paths)
    assert {name: paths[name].read_bytes() for name in before} == before
    write_table(paths["neurons"], [], schema(group="string"))
    with pytest.raises(InputError, match=r"neurons\.parquet: no column"):
        comparison.write_comparison(*read, paths)
    assert pairings.SCHEMA.names[:2] == agreement.SCHEMA.names[:2] == ["measure", "sites"]
