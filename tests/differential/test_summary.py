"""Means, intervals and tests of a summary against the statistics of one column at a time."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from differential_examples import made_up_examples

from rewire import statistics
from rewire.differential.summary import SCHEMA, falling_share, relative, summary_rows
from rewire.tables import write_table


def summarized(examples, path, permutations=300):
    write_table(path, summary_rows(examples, permutations), SCHEMA)
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    return table.to_pandas()


@pytest.fixture
def summary(tmp_path):
    return summarized(made_up_examples(), tmp_path / "summary.parquet")


def one(table, **place):
    for name, value in place.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_head_is_the_statistics_of_its_column(summary):
    heads = made_up_examples().heads
    change = heads["entropy"] - heads["entropy_base"]
    row = one(summary, family="heads", measure="entropy_change", layer=2, head=1)
    mean = statistics.mean(change[:, 2, 1])
    assert (row["value"], row["low"], row["high"], row["n"]) == pytest.approx(
        (mean.value, mean.low, mean.high, 12)
    )
    p = statistics.paired_permutation(change.reshape(12, -1), 300)
    assert row["p"] == pytest.approx(p[2 * 3 + 1])
    assert row["q"] == pytest.approx(statistics.benjamini_hochberg(p)[2 * 3 + 1])


def test_a_layers_attention_is_the_mean_over_its_heads(summary):
    expected = made_up_examples().heads["attention_kl"].mean(axis=2)
    row = one(summary, family="layers", measure="attention_kl", layer=3)
    assert row["value"] == pytest.approx(expected[:, 3].mean()) and row["site"] == "attention"


def test_magnitudes_are_relative_and_tested_by_their_difference(summary):
    examples = made_up_examples()
    site = examples.sites.index((1, "mlp_out"))
    values, base = (examples.layers[name][:, site] for name in ("norm", "norm_base"))
    row = one(summary, measure="norm_change", layer=1, site="mlp_out")
    assert row["value"] == pytest.approx((values / base - 1).mean())
    every = examples.layers["norm"] - examples.layers["norm_base"]
    assert row["p"] == pytest.approx(statistics.paired_permutation(every, 300)[site])


def test_distances_have_intervals_and_no_test(summary):
    rows = summary[summary["measure"].isin(["cosine_distance", "cka", "attention_kl", "attention_js"])]
    assert rows["low"].notna().all() and rows["p"].isna().all() and rows["q"].isna().all()
    assert set(rows[rows["measure"] == "cka"]["site"]) == {"residual", "final_norm"}


def test_swapping_the_models_turns_signs_and_keeps_p(tmp_path):
    examples = made_up_examples()
    there = summarized(examples, tmp_path / "a.parquet")
    for measure in ("entropy", "normalised_entropy", "gini"):
        both = examples.heads[measure], examples.heads[f"{measure}_base"]
        examples.heads[f"{measure}_base"], examples.heads[measure] = both
    back = summarized(examples, tmp_path / "b.parquet")
    for measure in ("entropy_change", "gini_change"):
        a, b = (t[t["measure"] == measure] for t in (there, back))
        np.testing.assert_allclose(a["value"], -b["value"])
        np.testing.assert_allclose(a["p"], b["p"])


def test_few_examples_are_flagged_and_have_no_interval(tmp_path):
    table = summarized(made_up_examples(n=4), tmp_path / "s.parquet")
    assert (table["n"] == 4).all() and table["value"].notna().all()
    assert table["low"].isna().all() and table["high"].isna().all()


def test_an_undefined_example_is_left_out_and_counted(tmp_path):
    whole, holed = made_up_examples(), made_up_examples()
    for name in ("entropy", "entropy_base"):
        holed.heads[name][5, 1, 2] = np.nan
    table = summarized(holed, tmp_path / "s.parquet")
    row = one(table, family="heads", measure="entropy_change", layer=1, head=2)
    change = np.delete((whole.heads["entropy"] - whole.heads["entropy_base"])[:, 1, 2], 5)
    assert row["n"] == 11 and row["value"] == pytest.approx(change.mean())
    assert row["p"] == pytest.approx(statistics.paired_permutation(change, 300)[0])
    others = table[(table["measure"] == "entropy_change") & (table["family"] == "heads")]
    assert sorted(others["n"]) == [11] + [12] * 11
    assert one(table, measure="share_of_heads_with_falling_entropy")["n"] == 11


def test_the_share_of_falling_heads(summary):
    heads = made_up_examples().heads
    change = (heads["entropy"] - heads["entropy_base"]).reshape(12, -1)
    row = one(summary, measure="share_of_heads_with_falling_entropy")
    assert row["value"] == (change.mean(axis=0) < 0).mean() == pytest.approx(1 / 3)  # odd heads fall: 1 of 3
    assert row["low"] <= row["value"] <= row["high"]
    assert one(summary, measure="share_of_layers_with_falling_entropy")["value"] == 0


def test_a_share_without_examples_or_with_few():
    assert np.isnan(falling_share(np.zeros((0, 3)))).all()
    value, low, high = falling_share(np.array([[-1.0, 1.0]] * 4))
    assert value == 0.5 and np.isnan(low) and np.isnan(high)


def test_relative_change():
    change = relative(np.array([2.0, 0.0, 1.0, 0.5]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert change[[0, 1, 3]].tolist() == [1.0, 0.0, -0.5] and np.isnan(change[2])
