"""Attention measures against sums by hand, identities and bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from rewire.differential.activations import attention_inputs
from rewire.differential.attention import (
    QUERIES,
    attend,
    attention_scores,
    compare_attention,
    compare_spread,
    gini,
    head_measures,
    out_of_range,
)
from rewire.models import load


def random_attention(seed, length=7, scale=2.0, shape=(2, 3)):
    """Queries, keys and values [2, B, H, T, E] in float64."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(3, 2, *shape, length, 4, generator=generator, dtype=torch.float64)


def by_hand(queries, keys, t):
    """The attention of one query, as a list."""
    scores = [sum(a * b for a, b in zip(queries[t], keys[s], strict=True)) for s in range(t + 1)]
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def kl(q, p):
    return sum(a * math.log(a / b) for a, b in zip(q, p, strict=True) if a)


def test_measures_are_those_of_the_definitions():
    queries, keys, values = random_attention(0)
    z, measures = attend(queries, keys, values)
    for b, h, t in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(7)).tolist():
        p, q = (by_hand(queries[m, b, h].tolist(), keys[m, b, h].tolist(), t) for m in (0, 1))
        middle = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
        n = t + 1
        expected = {
            "entropy_base": -sum(a * math.log(a) for a in p),
            "entropy": -sum(a * math.log(a) for a in q),
            "gini_base": sum(abs(x - y) for x in p for y in p) / (2 * n),
            "gini": sum(abs(x - y) for x in q for y in q) / (2 * n),
            "attention_kl": kl(q, p),
            "attention_kl_reverse": kl(p, q),
            "attention_js": (kl(p, middle) + kl(q, middle)) / 2,
        }
        assert set(expected) == set(measures)
        for name, value in expected.items():
            assert measures[name][b, h, t].item() == pytest.approx(value, abs=1e-12), name
        out = sum(a * values[1, b, h, s] for s, a in enumerate(q))
        torch.testing.assert_close(z[1, b, h, t], out)


@pytest.mark.parametrize("length", [1, QUERIES - 1, QUERIES, 2 * QUERIES + 5])
def test_queries_in_pieces_are_one_causal_attention(length):
    queries, keys, values = random_attention(1, length)
    z, measures = attend(queries, keys, values)
    expected = torch.nn.functional.scaled_dot_product_attention(
        queries, keys, values, is_causal=True, scale=1.0
    )
    torch.testing.assert_close(z, expected)
    assert all(measure.shape == (2, 3, length) for measure in measures.values())


@pytest.mark.parametrize("every", [2, 5, QUERIES + 3])
def test_costly_measures_are_of_evenly_spaced_queries(every):
    inputs = random_attention(6, 2 * QUERIES + 7)
    z, all_of_them = attend(*inputs)
    same, some = attend(*inputs, every)
    torch.testing.assert_close(z, same)
    for name, values in all_of_them.items():
        costly = name in ("gini_base", "gini", "attention_js")
        torch.testing.assert_close(some[name], values[..., every - 1 :: every] if costly else values)
    real = torch.arange(2 * QUERIES + 7) < torch.tensor([2 * QUERIES + 7, 2 * every])[:, None]
    means = head_measures(some, real, every)
    kept = all_of_them["attention_js"][1, 0, [every - 1, 2 * every - 1]]
    assert means["attention_js"][1, 0].item() == pytest.approx(kept.mean().item())


def test_equal_attention_is_exactly_zero():
    queries, keys, values = random_attention(2, 70)
    same = [torch.stack([x[0], x[0]]).float() for x in (queries, keys, values)]
    _, measures = attend(*same)
    for name in ("attention_kl", "attention_kl_reverse", "attention_js"):
        assert (measures[name] == 0).all()
    for name in ("entropy", "gini"):
        assert torch.equal(measures[name], measures[f"{name}_base"])


def test_uniform_attention_has_the_entropy_of_the_number_of_keys():
    zeros = torch.zeros(2, 1, 2, 40, 4)
    _, measures = attend(zeros, zeros, zeros)
    torch.testing.assert_close(measures["entropy"], torch.log(torch.arange(1.0, 41)).expand(1, 2, 40))
    torch.testing.assert_close(measures["gini"], torch.zeros(1, 2, 40), atol=1e-6, rtol=0)


def test_attention_on_one_key_has_no_entropy_and_the_largest_gini():
    attention = torch.eye(6)
    torch.testing.assert_close(gini(attention, torch.arange(1, 7)), 1 - 1 / torch.arange(1.0, 7))


def test_divergences_stay_finite_where_attention_underflows():
    scores = torch.tensor([[[0.0, 400.0, -400.0]], [[300.0, -500.0, 200.0]]])
    shifted = scores - scores.amax(dim=-1, keepdim=True)
    weights = shifted.exp()
    total = weights.sum(dim=-1)
    measures = compare_attention(weights, shifted, total)
    measures |= compare_spread(weights, shifted[1], total, 2, 1)
    assert all(torch.isfinite(value).all() for value in measures.values())
    assert measures["attention_js"].item() == pytest.approx(math.log(2), rel=1e-4)  # nothing in common
    assert measures["attention_kl"].item() == pytest.approx(400, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 20))
def test_divergences_keep_their_bounds(seed, scale):
    _, measures = attend(*random_attention(seed, 9, scale).float())
    swapped = attend(*random_attention(seed, 9, scale).float().flip(1))[1]
    js = measures["attention_js"]
    assert (js >= 0).all() and (js <= math.log(2) + 1e-5).all()
    torch.testing.assert_close(js, swapped["attention_js"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        measures["attention_kl"], swapped["attention_kl_reverse"], atol=1e-5, rtol=1e-4
    )
    uniform = torch.log(torch.arange(1.0, 10))
    assert (measures["entropy"] <= uniform + 1e-5).all() and (measures["entropy"] >= -1e-6).all()


def test_means_are_over_each_examples_real_queries():
    _, measures = attend(*random_attention(3))
    real = torch.arange(7) < torch.tensor([7, 3])[:, None]
    means = head_measures(measures, real)
    assert means["entropy"][1, 2].item() == pytest.approx(measures["entropy"][1, 2, 1:3].mean().item())
    assert means["attention_kl"][1, 2].item() == pytest.approx(
        measures["attention_kl"][1, 2, :3].mean().item()
    )
    share = measures["entropy"][0, 1, 1:] / torch.log(torch.arange(2.0, 8, dtype=torch.float64))
    assert means["normalised_entropy"][0, 1].item() == pytest.approx(share.mean().item())


def test_one_token_has_no_entropy_but_a_divergence():
    _, measures = attend(*random_attention(4))
    real = torch.arange(7) < torch.tensor([7, 1])[:, None]
    means = head_measures(measures, real)
    for name in ("entropy", "entropy_base", "normalised_entropy", "gini"):
        assert torch.isnan(means[name][1]).all() and torch.isfinite(means[name][0]).all()
    assert (means["attention_kl"][1] == 0).all()


def test_queries_without_a_usable_score_are_found():
    queries, keys, _ = random_attention(5, 2 * QUERIES + 3).float()
    assert not out_of_range(queries, keys).any()
    queries[1, 0, 2, 40] = float("nan")  # one query alone
    keys[0, 1, 0, 30] = float("inf")  # a key: queries from it on
    expected = torch.zeros(queries.shape[:-1], dtype=torch.bool)
    expected[1, 0, 2, 40] = True
    expected[0, 1, 0, 30:] = True
    assert torch.equal(out_of_range(queries, keys), expected)


@pytest.mark.parametrize(("size", "found"), [(1e14, False), (1e16, True), (1e20, True)])
def test_scores_below_those_of_future_keys_are_found(size, found):
    """Finite or not, a query would attend to what comes after it."""
    queries = torch.full((2, 1, 1, 5, 4), size)
    attention = next(attention_scores(queries, -queries)).softmax(-1)
    assert (attention[..., 0, 1:].sum() > 0.5) == found
    assert (out_of_range(queries, -queries) == found).all()


def test_patterns_of_an_independent_implementation(material):
    expected = load_file(material / "models" / "sort" / "activations.safetensors")
    stream = load(material / "models" / "sort").stream
    tokens = expected["idx"].long()
    with torch.no_grad():
        x = stream.embed(tokens) + stream.positions(0, tokens.shape[1])
        queries, keys, _ = attention_inputs(stream, 0, x)
    (scores,) = attention_scores(queries, keys)
    torch.testing.assert_close(
        scores.softmax(-1), expected["attSm"], rtol=1e-3, atol=1e-5
    )  # the first block's
