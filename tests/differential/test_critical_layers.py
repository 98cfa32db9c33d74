"""Critical layers against sums by hand, and the false-positive rate of their test."""

import numpy as np
import pyarrow.parquet as pq
from differential_examples import made_up_examples
from scipy import stats

from rewire.differential.comparison import compare
from rewire.differential.critical_layers import (
    PARTS,
    SCHEMA,
    layer_changes,
    parts,
    standardised,
    weighted_scores,
    write_critical_layers,
)

EQUAL = dict.fromkeys(PARTS, 1.0)


def rows_of(examples, path, weights=EQUAL, permutations=500):
    write_critical_layers(examples, weights, permutations, path)
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    return table.to_pandas()


def test_it_is_the_weighted_sum_of_z_scores(tmp_path):
    examples = made_up_examples()
    weights = {"attention_kl": 2.0, "entropy": 0.5, "activation": 3.0}
    table = rows_of(examples, tmp_path / "c.parquet", weights)
    entropy = examples.heads["entropy"] - examples.heads["entropy_base"]
    change = np.log(examples.layers["norm"] / examples.layers["norm_base"])
    expected = {"attention_kl": examples.heads["attention_kl"].mean(axis=(0, 2))}
    expected["entropy"] = np.abs(entropy.mean(axis=0)).mean(axis=1)  # heads that rise and fall do not cancel
    columns = [
        [
            examples.sites.index(site)
            for site in [
                *((layer, c) for c in ("attention_out", "mlp_neurons", "mlp_out")),
                (layer + 1, "residual"),
            ]
        ]
        for layer in range(4)
    ]
    expected["activation"] = np.array([np.abs(change[:, c].mean(axis=0)).mean() for c in columns])
    for name in PARTS:
        np.testing.assert_allclose(table[name], expected[name])
    score = sum(weights[name] * stats.zscore(expected[name]) for name in PARTS)
    np.testing.assert_allclose(table["score"], score)
    assert (table["n"] == 12).all()


def test_a_swap_is_a_comparison_the_other_way_round(two_precise, pairs):
    """The examples with a -1 are taken, in every measure, from the comparison of Q with P."""
    there, _ = compare(*two_precise, pairs)
    back, _ = compare(*reversed(two_precise), pairs)
    signs = np.array([1.0, -1.0, 1.0, -1.0, -1.0])
    found = parts(layer_changes(there), signs[None])
    for measures, others in ((there.layers, back.layers), (there.heads, back.heads)):
        for name, values in measures.items():
            values[signs < 0] = others[name][signs < 0]
    swapped = parts(layer_changes(there), np.ones((1, 5)))
    for name in PARTS:
        np.testing.assert_allclose(found[name], swapped[name], rtol=1e-9)
    forward, reverse = (there.heads[f"attention_kl{way}"].mean() for way in ("", "_reverse"))
    assert abs(forward / reverse - 1) > 0.01  # else it would not matter which of them a swap takes


def test_systematic_change_is_found_and_change_that_turns_its_sign_is_not(tmp_path):
    firm = rows_of(made_up_examples(n=20), tmp_path / "a.parquet")
    assert (firm["p"] < 0.01).all() and (firm["q"] >= firm["p"]).all()
    examples = made_up_examples(n=20)
    heads, layers = examples.heads, examples.layers
    flip = np.arange(20) % 2 == 1
    for values, name in ((heads, "entropy"), (layers, "norm")):
        q, p = values[name].copy(), values[f"{name}_base"].copy()
        values[name][flip], values[f"{name}_base"][flip] = p[flip], q[flip]
    assert (rows_of(examples, tmp_path / "b.parquet")["p"] > 0.05).all()


def test_growing_and_shrinking_are_the_same_change(tmp_path):
    """Tenfold activations and a tenth of them: a relative change is +9 or -0.9, its null must not be."""
    examples = made_up_examples(n=15)
    shape = examples.layers["norm"].shape
    for factor in (10.0, 0.1):
        noise = np.random.default_rng(1).lognormal(0, 0.1, shape)
        examples.layers["norm"][:] = examples.layers["norm_base"] * factor * noise
        table = rows_of(examples, tmp_path / "c.parquet")
        assert (table["p"] < 0.01).all()
        np.testing.assert_allclose(table["activation"], np.log(10), atol=0.1)


def test_the_test_keeps_its_level_where_nothing_is_systematic():
    """P and Q exchangeable in every example: at most 5 % of layers have p <= .05, within the binomial bound."""
    rejected = tests = 0
    for draw in range(60):
        noise = np.random.default_rng(draw)
        scale = noise.lognormal(0, 0.7, 5)[None, :, None]
        entropy = scale * (noise.normal(0, 0.3, (12, 5, 1)) + noise.normal(0, 0.3, (12, 5, 4)))
        changes = {
            "attention_kl": scale * noise.lognormal(0, 0.3, (12, 5, 4)),
            "attention_kl_reverse": scale * noise.lognormal(0, 0.3, (12, 5, 4)),
            "entropy": entropy,
            "activation": scale * noise.normal(0, 0.1, (12, 5, 4)),
        }
        signs = np.vstack([np.ones(12), noise.choice([-1.0, 1.0], (199, 12))])
        scores = weighted_scores(parts(changes, signs), EQUAL)
        rejected += int((scores >= scores[0] - 1e-9).mean(axis=0)[0] <= 0.05)
        tests += 1
    assert rejected <= stats.binom.ppf(0.999, tests, 0.05)


def test_a_model_compared_with_itself_has_no_critical_layer(tmp_path):
    table = rows_of(made_up_examples(size=0.0), tmp_path / "c.parquet")
    assert (table["attention_kl"] == 0).all() and (table["entropy"] == 0).all()
    examples = made_up_examples(size=0.0)
    examples.layers["norm"][:] = examples.layers["norm_base"]
    table = rows_of(examples, tmp_path / "d.parquet")
    assert (table["score"] == 0).all() and (table["p"] == 1).all()


def test_a_measure_that_is_the_same_everywhere_says_nothing():
    values = np.array([[0.1 + 0.2, 0.3, 0.3], [1.0, 2.0, 3.0]])
    assert (standardised(values) == 0).all()


def test_examples_without_a_value_are_left_out(tmp_path):
    examples = made_up_examples()
    examples.heads["entropy"][3, 0, 0] = np.nan
    table = rows_of(examples, tmp_path / "c.parquet")
    assert (table["n"] == 11).all() and table["p"].notna().all()


def test_without_any_defined_example_there_is_no_number(tmp_path):
    examples = made_up_examples()
    examples.heads["entropy"][:] = np.nan
    table = rows_of(examples, tmp_path / "c.parquet")
    assert (table["n"] == 0).all() and table[["score", "p", "q", "activation"]].isna().all(axis=None)


def test_the_same_rows_for_the_same_examples(tmp_path):
    a, b = (rows_of(made_up_examples(), tmp_path / f"{i}.parquet") for i in range(2))
    assert a.equals(b)


def test_permutations_in_blocks_change_nothing(tmp_path, monkeypatch):
    at_once = rows_of(made_up_examples(n=20), tmp_path / "a.parquet")
    monkeypatch.setattr("rewire.statistics.BLOCK", 20 * 30)
    np.testing.assert_allclose(rows_of(made_up_examples(n=20), tmp_path / "b.parquet"), at_once)
