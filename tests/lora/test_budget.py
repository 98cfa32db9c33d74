"""Ranks that match a budget; the published counts for GPT-2 small."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.lora.budget import TOLERANCE, adapter_sizes, matched_ranks, parameters, weighted_ranks

TARGETS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
BASE = 124_439_808


@pytest.fixture(scope="module")
def gpt2() -> Any:
    """The real GPT-2 small, without its weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        return GPT2LMHeadModel(GPT2Config())


@pytest.fixture(scope="module")
def sizes(gpt2: Any) -> dict[str, tuple[int, int]]:
    return adapter_sizes(gpt2, TARGETS)


def on(sizes: dict[str, tuple[int, int]], layers: Any) -> dict[str, tuple[int, int]]:
    return {name: size for name, size in sizes.items() if size[0] in layers}


def share(trained: int) -> float:
    return round(100 * trained / (BASE + trained), 4)


def test_gpt2_small_s_published_counts(gpt2: Any, sizes: dict[str, tuple[int, int]]) -> None:
    assert sum(parameter.numel() for parameter in gpt2.parameters()) == BASE
    assert len(sizes) == 48
    for layer in range(12):
        assert sum(count for at, count in sizes.values() if at == layer) == 12_288
    for rank, layers, published in ((16, range(12), 1.8607), (16, [2, 3, 5], 0.4717), (64, range(5), 3.0631)):
        some = on(sizes, layers)
        ranks = weighted_ranks(some, rank, {})
        assert set(ranks.values()) == {rank}
        assert share(parameters(some, ranks)) == published


def test_five_of_gpt2_s_layers_match_twelve(sizes: dict[str, tuple[int, int]]) -> None:
    some = on(sizes, [1, 2, 5, 7, 11])
    ranks = matched_ranks(some, 12 * 12_288 * 16, {})
    by_layer = {tuple(ranks[name] for name in some if some[name][0] == layer) for layer in (1, 2, 5, 7, 11)}
    assert by_layer == {(39, 39, 38, 38)}  # 38.4 on average: the attention of every layer gets one more
    assert abs(parameters(some, ranks) / (12 * 12_288 * 16) - 1) < 0.001


def test_equal_layers_get_equal_ranks_largest_remainder_first() -> None:
    """6.4, 1.6, 1.6, 6.4: the layers of the larger remainder rise, not the first ones."""
    four = {f"h.{layer}.{part}": (layer, 100) for layer in range(4) for part in "ab"}
    ranks = matched_ranks(four, 4 * 800, {0: 4.0, 3: 4.0})
    assert list(ranks.values()) == [6, 6, 2, 2, 2, 2, 6, 6]
    # 1.33 each: one more for all is too much, for one kind too; single modules break the tie
    three = {f"h.{layer}.{part}": (layer, 100) for layer in range(3) for part in "ab"}
    assert list(matched_ranks(three, 800, {}).values()) == [2, 2, 1, 1, 1, 1]


def test_a_module_whose_share_is_below_rank_1_does_not_rise() -> None:
    """0.88 and 1.75 of layers 0 and 1: rank 2 on layer 0 would be more than twice its share."""
    sizes = {"h.0.a": (0, 1), "h.0.b": (0, 1), "h.1.a": (1, 1), "h.1.b": (1, 2)}
    with pytest.raises(InputError, match=r"give 7 .* ranks 1 to 2, give 6$"):
        matched_ranks(sizes, 7, {0: 0.5})


def test_a_rank_is_no_larger_than_its_matrix(gpt2: Any) -> None:
    two = {"h.0.a": (0, 10), "h.0.b": (0, 30)}
    assert matched_ranks(two, 400, {}, {"h.0.a": 4, "h.0.b": 99}) == {"h.0.a": 4, "h.0.b": 12}
    with pytest.raises(InputError, match=r"give 400 .* ranks 4 to 11, give 370$"):
        matched_ranks(two, 400, {}, {"h.0.a": 4, "h.0.b": 11})
    with pytest.raises(InputError, match=r"give 400 .* ranks 4 to 6, give 220$"):
        matched_ranks(two, 400, {}, {"h.0.a": 4, "h.0.b": 6})


def test_layers_of_a_higher_rank(sizes: dict[str, tuple[int, int]]) -> None:
    budget = 12 * 12_288 * 16
    ranks = matched_ranks(sizes, budget, {3: 4.0, 4: 4.0})
    low = [ranks[name] for name, (layer, _) in sizes.items() if layer not in (3, 4)]
    high = [ranks[name] for name, (layer, _) in sizes.items() if layer in (3, 4)]
    assert abs(parameters(sizes, ranks) - budget) <= TOLERANCE * budget
    assert min(low) == 10  # 16 * 12 / (10 + 2 * 4) = 10.67
    assert max(low) <= 11
    assert set(high) <= {42, 43}
    assert weighted_ranks(sizes, 8, {3: 2.0})["transformer.h.3.attn.c_attn"] == 16


def test_peft_makes_as_many_parameters_as_planned(sizes: dict[str, tuple[int, int]]) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from rewire.lora.adapter_files import add_adapter
    from rewire.lora.plan import Plan

    some = on(sizes, [1, 2, 11])
    ranks = matched_ranks(some, 12 * 12_288 * 2 + 3000, {1: 2.0})
    assert len(set(ranks.values())) > 2
    model = GPT2LMHeadModel(GPT2Config(vocab_size=10))
    settings = {"alpha_per_rank": 3, "dropout": 0.0}
    adapted = add_adapter(model, Plan([1, 2, 11], ranks, parameters(some, ranks), 0), settings)
    trainable = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trainable.values()) == parameters(some, ranks)
    assert {int(re.search(r"\.h\.(\d+)\.", name).group(1)) for name in trainable} == {1, 2, 11}
    for name, rank in ranks.items():
        module = adapted.base_model.model.get_submodule(name)
        assert module.r == {"default": rank}
        assert module.scaling == {"default": 3}


@given(data=st.data(), rank=st.integers(1, 64))
def test_budgets_match_within_a_percent_or_it_says_the_nearest(data: st.DataObject, rank: int) -> None:
    per_layer = data.draw(
        st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=12)
    )
    every = {
        f"h.{at}.{part}": (at, unit) for at, units in enumerate(per_layer) for part, unit in enumerate(units)
    }
    layers = data.draw(st.sets(st.integers(0, len(per_layer) - 1), min_size=1))
    heavy = data.draw(st.sets(st.sampled_from(sorted(layers))))
    weights = dict.fromkeys(heavy, data.draw(st.floats(0.25, 8)))
    budget = rank * sum(unit for _, unit in every.values())
    some = on(every, layers)
    caps = dict.fromkeys(some, data.draw(st.sampled_from([10**9, rank, 2 * rank])))
    bound = min(caps.values())
    scale = budget / sum(weights.get(layer, 1) * unit for layer, unit in some.values())
    try:
        ranks = matched_ranks(some, budget, weights, caps)
    except InputError as error:
        assert str(budget) in str(error)
        assert "\n" not in str(error)
        given_up = int(re.search(r"give (\d+)$", str(error)).group(1))
        assert abs(given_up - budget) > TOLERANCE * budget
        too_small = min(scale * weights.get(layer, 1) for layer, _ in some.values()) < 1
        too_small |= sum(bound * unit for _, unit in some.values()) < budget
        assert too_small or max(unit for _, unit in some.values()) / 2 > TOLERANCE * budget
    else:
        assert list(ranks) == list(some)
        assert abs(parameters(some, ranks) - budget) <= TOLERANCE * budget
        for name, found in ranks.items():
            assert 1 <= found <= bound
            largest = max(scale * weights.get(layer, 1) for layer, _ in some.values())
            assert largest > bound or abs(found - scale * weights.get(some[name][0], 1)) <= 1 + 1e-6


def test_all_layers_keep_the_rank(sizes: dict[str, tuple[int, int]]) -> None:
    for rank in (1, 7, 64):
        assert set(matched_ranks(sizes, rank * 12 * 12_288, {}).values()) == {rank}


def test_a_budget_that_cannot_be_met_says_the_nearest() -> None:
    with pytest.raises(InputError, match=r"layers \[4\] give 150 .* ranks 1 to 1, give 100$"):
        matched_ranks({"h.4.a": (4, 100)}, 150, {})
    with pytest.raises(InputError, match="give 100$"):  # rank 1 is over the budget
        matched_ranks({"h.4.a": (4, 100)}, 50, {})


def test_targets_are_endings_of_module_names(gpt2: Any) -> None:
    assert len(adapter_sizes(gpt2, ["c_proj"])) == 24
    assert len(adapter_sizes(gpt2, ["attn.c_proj"])) == 12
    with pytest.raises(InputError):
        adapter_sizes(gpt2, ["proj"])  # not a whole name


def test_an_unknown_target_lists_the_model_s(gpt2: Any) -> None:
    with pytest.raises(InputError) as error:
        adapter_sizes(gpt2, ["attn.c_attn", "q_proj"])
    assert "'q_proj'" in str(error.value)
    assert "attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj" in str(error.value)
    assert "\n" not in str(error.value)
