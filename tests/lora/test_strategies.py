"""Which layers, at what rank, and whether the budgets match; the published counts for GPT-2 small."""

import re
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.lora.bakeoff import size
from rewire.lora.strategies import CHOICES, TOLERANCE, adapter_sizes, choose_layers, plan

TARGETS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
CRITICALITY = pa.Table.from_pylist(
    [
        {"criterion": criterion, "layer": layer, "value": value}
        for criterion, values in {
            "differential": [1.0, 3.0, 3.0, 2.0],
            "circuit": [9.0, 0.0, 0.1, 8.0],
        }.items()
        for layer, value in enumerate(values)
    ]
)


@pytest.fixture(scope="module")
def gpt2() -> Any:
    """The real GPT-2 small, without its weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        return GPT2LMHeadModel(GPT2Config())


@pytest.fixture(scope="module")
def gpt2_sizes(gpt2: Any) -> dict[str, tuple[int, int]]:
    return adapter_sizes(gpt2, TARGETS)


def share(parameters: int) -> float:
    return round(size({"parameters": parameters, "base_parameters": 124_439_808})["parameter_share"], 4)


def test_gpt2_small_s_published_counts(gpt2: Any, gpt2_sizes: dict[str, tuple[int, int]]) -> None:
    assert sum(parameter.numel() for parameter in gpt2.parameters()) == 124_439_808
    assert len(gpt2_sizes) == 48
    for layer in range(12):
        assert sum(count for at, count in gpt2_sizes.values() if at == layer) == 12_288
    standard = plan(gpt2_sizes, range(12), 16)
    assert (standard.rank, standard.parameters) == (16, 12 * 12_288 * 16)
    assert share(standard.parameters) == 1.8607
    few = plan(gpt2_sizes, [2, 3, 5], 4)  # a quarter of the layers: rank 16 has the budget of rank 4 on all
    assert (few.rank, few.parameters, few.layers) == (16, 3 * 12_288 * 16, [2, 3, 5])
    assert share(few.parameters) == 0.4717
    five = {name: found for name, found in gpt2_sizes.items() if found[0] < 5}
    assert share(plan(five, range(5), 64).parameters) == 3.0631


def test_peft_makes_as_many_parameters_as_planned(gpt2_sizes: dict[str, tuple[int, int]]) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    chosen = plan(gpt2_sizes, [1, 11], 8)
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
        config = LoraConfig(r=chosen.rank, target_modules=chosen.modules, fan_in_fan_out=True)
        adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
    trainable = {name: p.numel() for name, p in adapted.named_parameters() if p.requires_grad}
    assert sum(trainable.values()) == chosen.parameters
    assert {int(re.search(r"\.h\.(\d+)\.", name).group(1)) for name in trainable} == {1, 11}


@given(data=st.data(), rank=st.integers(1, 64))
def test_budgets_match_within_a_percent_or_it_says_the_nearest(data: st.DataObject, rank: int) -> None:
    per_layer = data.draw(st.lists(st.integers(10, 5000), min_size=1, max_size=12))
    sizes = {f"h.{layer}.{part}": (layer, count) for layer, count in enumerate(per_layer) for part in "ab"}
    layers = data.draw(st.sets(st.integers(0, len(per_layer) - 1), min_size=1))
    budget = rank * 2 * sum(per_layer)
    unit = 2 * sum(per_layer[layer] for layer in layers)
    nearest = min(range(1, budget // unit + 3), key=lambda r: (abs(r * unit - budget), r))
    try:
        found = plan(sizes, sorted(layers), rank)
    except InputError as error:
        assert abs(nearest * unit - budget) > TOLERANCE * budget
        assert str(budget) in str(error)
        assert f"gives {nearest * unit}" in str(error) or abs(nearest * unit - budget) * 2 == unit
        assert "\n" not in str(error)
    else:
        assert abs(found.parameters - budget) <= TOLERANCE * budget
        assert found.parameters == found.rank * unit
        assert found.layers == sorted(layers)
        assert {sizes[name][0] for name in found.modules} == layers
        assert len(found.modules) == 2 * len(layers)


def test_all_layers_keep_the_rank(gpt2_sizes: dict[str, tuple[int, int]]) -> None:
    for rank in (1, 7, 64):
        assert plan(gpt2_sizes, range(12), rank).rank == rank


def test_targets_are_endings_of_module_names(gpt2: Any) -> None:
    both = adapter_sizes(gpt2, ["c_proj"])
    assert len(both) == 24
    assert len(adapter_sizes(gpt2, ["attn.c_proj"])) == 12
    with pytest.raises(InputError):
        adapter_sizes(gpt2, ["proj"])  # not a whole name


def test_an_unknown_target_lists_the_model_s(gpt2: Any) -> None:
    with pytest.raises(InputError) as error:
        adapter_sizes(gpt2, ["attn.c_attn", "q_proj"])
    assert "'q_proj'" in str(error.value)
    assert "attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj" in str(error.value)
    assert "\n" not in str(error.value)


def test_choices_by_criterion() -> None:
    def choose(choice: str, count: int) -> list[int]:
        return choose_layers(choice, 4, count, CRITICALITY, 0)

    assert choose("all", 2) == [0, 1, 2, 3]
    assert choose("differential", 1) == [1]  # the earlier of two equals
    assert choose("differential", 3) == [1, 2, 3]
    assert choose("circuit", 2) == [0, 3]


@given(layers=st.integers(1, 24), data=st.data(), seed=st.integers(0, 1000))
def test_random_layers(layers: int, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, layers))
    found = choose_layers("random", layers, count, CRITICALITY, seed)
    assert len(set(found)) == count
    assert found == sorted(found)
    assert set(found) <= set(range(layers))
    assert found == choose_layers("random", layers, count, CRITICALITY, seed)


def test_every_layer_is_drawn_about_equally_often() -> None:
    drawn = [layer for seed in range(600) for layer in choose_layers("random", 4, 1, CRITICALITY, seed)]
    assert all(100 < drawn.count(layer) < 200 for layer in range(4))  # 150 expected, standard deviation 11


@pytest.mark.parametrize("count", [0, 5, -1])
@pytest.mark.parametrize("choice", ["random", "circuit"])
def test_more_layers_than_there_are(choice: str, count: int) -> None:
    with pytest.raises(InputError, match=rf"critical_layers is {count}; the model has 4 layers"):
        choose_layers(choice, 4, count, CRITICALITY, 0)


def test_an_unknown_choice_lists_the_choices() -> None:
    with pytest.raises(InputError, match=", ".join(CHOICES)):
        choose_layers("best", 4, 2, CRITICALITY, 0)
