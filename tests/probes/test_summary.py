"""Means by group where examples lack places, and shares of a change that may be nothing."""

import numpy as np
import pandas as pd

from rewire import statistics
from rewire.probes.summary import summarise


def frame(values, clean, corrupted, places=("a", None)):
    """A row an example and place; NaN: the example lacks it."""
    rows = [
        {
            "id": str(i),
            "site": "z",
            "layer": 0,
            "place": place,
            "m": values[i, k],
            "logit_diff": values[i, k],
            "logit_diff_clean": clean[i],
            "logit_diff_corrupted": corrupted[i],
        }
        for i in range(len(values))
        for k, place in enumerate(places)
        if np.isfinite(values[i, k])
    ]
    return pd.DataFrame(rows)


def test_means_intervals_and_missing_places():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(12, 2))
    values[3:5, 0] = np.nan
    clean, corrupted = generator.normal(5, 1, 12), generator.normal(-5, 1, 12)
    groups = {str(i): "even" if i % 2 == 0 else "odd" for i in range(12)}
    found = pd.DataFrame(summarise(frame(values, clean, corrupted), groups, ["m"], ratio=True))
    cell = found.set_index(["group", "place", "measure"])
    known = np.isfinite(values[:, 0])
    whole = cell.loc[("all", "a", "m")]
    expected = statistics.mean(values[known, 0], resamples=4000)
    assert whole["n"] == 10 and abs(whole["value"] - expected.value) < 1e-12
    assert abs(whole["low"] - expected.low) < 0.1 and abs(whole["high"] - expected.high) < 0.1
    share = cell.loc[("odd", None, "recovered")]
    odd = np.arange(12) % 2 == 1
    by_hand = (values[odd, 1].mean() - corrupted[odd].mean()) / (clean[odd].mean() - corrupted[odd].mean())
    assert abs(share["value"] - by_hand) < 1e-12 and share["low"] < by_hand < share["high"]
    assert cell.loc[("odd", "a", "m")]["n"] == 5


def test_p_tests_the_change_and_q_is_over_the_places():
    generator = np.random.default_rng(2)
    corrupted = generator.normal(-5, 1, 10)
    values = np.stack([corrupted, corrupted + generator.normal(3, 0.5, 10)], axis=1)
    rows = frame(values, corrupted + 10, corrupted).assign(
        m=lambda f: f["logit_diff"] - f["logit_diff_corrupted"]
    )
    groups = dict.fromkeys(map(str, range(10)), "all")
    found = pd.DataFrame(summarise(rows, groups, ["m"], ratio=True, tested=["m", "recovered"]))
    for measure in ("m", "recovered"):
        own = found[found["measure"] == measure].set_index("place")
        assert own.loc["a", "p"] == own.loc["a", "q"] == 1  # nothing changed
        assert own["p"].iloc[1] == 2 / 2**10 and own["q"].iloc[1] == 4 / 2**10  # all signs agree: exact
    assert pd.DataFrame(summarise(rows, groups, ["m"]))["p"].isna().all()


def test_a_token_with_two_labels_counts_once_in_q():
    """`difference` is the name's token, `last` another one: q as without `difference`, whose q is the name's."""
    generator = np.random.default_rng(3)
    corrupted = generator.normal(-5, 1, 10)
    shifts = {"name": 3.0, "verb": 0.2, "last": 0.0}
    columns = {place: corrupted + generator.normal(shift, 1, 10) for place, shift in shifts.items()}
    groups = dict.fromkeys(map(str, range(10)), "g")

    def tested(**columns):
        rows = frame(np.stack([*columns.values()], axis=1), corrupted + 10, corrupted, columns)
        rows["m"] = rows["logit_diff"] - rows["logit_diff_corrupted"]
        found = pd.DataFrame(summarise(rows, groups, ["m"], tested=["m"]))
        return found[found["group"] == "g"].set_index("place")["q"].to_dict()

    alone = tested(**columns)
    assert alone["name"] < alone["verb"] < alone["last"]
    assert tested(**columns, difference=columns["name"]) == alone | {"difference": alone["name"]}
    ends = {
        "last": columns["verb"],
        "difference": columns["verb"],
        "name": columns["name"],
        "verb": columns["verb"],
    }
    own = tested(name=columns["name"], verb=columns["verb"])
    assert tested(**ends) == own | {"last": own["verb"], "difference": own["verb"]}
    ends.pop("verb")
    assert tested(**ends) == {"name": own["name"], "last": own["verb"], "difference": own["verb"]}
    assert tested(**columns, same=columns["name"]) != alone | {
        "same": alone["name"]
    }  # two labels of a study's own
    other = tested(**columns, difference=columns["name"] + 1e-9)
    assert other["verb"] < alone["verb"]


def test_no_interval_where_the_corruption_may_do_nothing_or_examples_are_few():
    generator = np.random.default_rng(1)
    values, noise = generator.normal(size=(8, 2)), generator.normal(size=8)
    groups = dict.fromkeys(map(str, range(8)), "all")
    rows = pd.DataFrame(summarise(frame(values, noise, -noise), groups, ["m"], ratio=True))
    shares = rows[rows["measure"] == "recovered"]
    assert len(shares) == 2 and shares[["low", "high"]].isna().all(axis=None)
    assert rows[rows["measure"] == "m"]["low"].notna().all()
    few = frame(values[:4], noise[:4], -noise[:4])
    rows = pd.DataFrame(summarise(few, {str(i): "all" for i in range(4)}, ["m"]))
    assert rows["value"].notna().all() and rows["low"].isna().all()
