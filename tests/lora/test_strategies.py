"""Which layers and heads a strategy takes, and what it refuses."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.lora import strategies
from rewire.lora.criticality import SCHEMA
from rewire.lora.declared import beyond, is_drawn, needs_count, needs_criticality
from rewire.lora.strategies import (
    LAYERS,
    Candidates,
    Strategy,
    choose_heads,
    choose_layers,
    layer_choice,
    read_strategy,
    stated_layers,
)

VALUES = {"differential": [1.0, 3.0, 3.0, 2.0], "circuit": [9.0, 0.0, 0.1, 8.0]}
HEADS = [[0.5, 7.0], [0.0, 0.5], [0.4, 0.3], [6.0, 0.2]]
CRITICALITY = pa.Table.from_pylist(
    [
        {"criterion": criterion, "layer": layer, "value": value}
        for criterion, values in VALUES.items()
        for layer, value in enumerate(values)
    ]
    + [
        {"criterion": "circuit", "layer": layer, "head": head, "value": value}
        for layer, values in enumerate(HEADS)
        for head, value in enumerate(values)
    ],
    schema=SCHEMA,
)


def empty() -> pa.Table:
    return CRITICALITY.slice(0, 0)


def test_what_is_beyond_a_model_is_said() -> None:
    assert beyond("s", {"layers": [0, 4, 5]}, 4) == (
        "lora.strategies.s.layers: there is no layer 4; the model has layers 0..3"
    )
    assert beyond("s", {"layers": "circuit", "count": 5}, 4) == (
        "lora.strategies.s.count is 5; the model has 4 layers"
    )
    for declared in (
        {"layers": [0, 3]},
        {"layers": "all"},
        {"heads": "circuit", "count": 9},
        {"count": 4},
        {},
    ):
        assert beyond("s", declared, 4) is None


def test_layers_by_name() -> None:
    def choose(choice: str, count: int, least: bool = False) -> list[int]:
        return choose_layers(choice, 4, count, CRITICALITY, 0, least)

    assert choose("all", 99) == [0, 1, 2, 3]
    assert choose("last", 3) == [1, 2, 3]
    assert choose("differential", 1) == [1]  # the earlier of two equals
    assert choose("differential", 3) == [1, 2, 3]
    assert choose("circuit", 2) == [0, 3]
    assert choose("circuit", 2, least=True) == [1, 2]
    assert choose("differential", 3, least=True) == [0, 1, 3]


def test_heads_by_criterion() -> None:
    assert choose_heads("circuit", 2, CRITICALITY) == [(0, 1), (3, 0)]
    assert choose_heads("circuit", 3, CRITICALITY) == [(0, 0), (0, 1), (3, 0)]  # the earlier of two equals
    assert choose_heads("circuit", 1, CRITICALITY, least=True) == [(1, 0)]
    with pytest.raises(InputError, match=r"lora.critical_heads is 9; the model has 8 heads"):
        choose_heads("circuit", 9, CRITICALITY)
    with pytest.raises(InputError, match="no head has the criterion 'circuit_raw'"):
        choose_heads("circuit_raw", 1, CRITICALITY)


@given(layers=st.integers(1, 24), data=st.data(), seed=st.integers(0, 60))
def test_random_layers(layers: int, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, layers))
    found = choose_layers("random", layers, count, empty(), seed)
    assert len(set(found)) == count
    assert found == sorted(found)
    assert set(found) <= set(range(layers))
    assert found == choose_layers("random", layers, count, empty(), seed)


def test_draws_differ_until_there_are_no_others() -> None:
    draws = [tuple(choose_layers("random", 5, 2, empty(), number)) for number in range(12)]
    assert len(set(draws[:10])) == len(set(draws)) == 10


def test_every_layer_is_drawn_about_equally_often() -> None:
    drawn = [layer for seed in range(600) for layer in choose_layers("random", 4, 1, CRITICALITY, seed)]
    assert all(100 < drawn.count(layer) < 200 for layer in range(4))  # 150 expected, standard deviation 11


@pytest.mark.parametrize("count", [0, 5, -1])
@pytest.mark.parametrize("choice", ["random", "circuit", "last"])
def test_more_layers_than_there_are(choice: str, count: int) -> None:
    with pytest.raises(InputError, match=rf"critical_layers is {count}; the model has 4 layers"):
        choose_layers(choice, 4, count, CRITICALITY, 0)


def test_a_criticality_of_another_model_or_without_the_criterion() -> None:
    with pytest.raises(InputError, match="4 layers by differential; the model has 5"):
        choose_layers("circuit", 5, 1, CRITICALITY, 0)
    with pytest.raises(InputError, match="no layer has the criterion 'circuit_raw'"):
        choose_layers("circuit_raw", 4, 1, CRITICALITY, 0)


def test_an_unknown_choice_lists_the_choices() -> None:
    with pytest.raises(InputError, match="all, last, random, differential, circuit, circuit_raw"):
        choose_layers("best", 4, 2, CRITICALITY, 0)


def test_a_new_choice_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "LAYERS", dict(LAYERS))

    @layer_choice("every_other")
    def every_other(candidates: Candidates) -> list[int]:
        return list(range(0, candidates.n_layers, candidates.count))

    assert choose_layers("every_other", 4, 2, CRITICALITY, 0) == [0, 2]
    assert read_strategy({"strategies": {"x": {"layers": "every_other"}}}, "x").layers == "every_other"

    @layer_choice("too_far")
    def too_far(candidates: Candidates) -> list[int]:
        return [candidates.n_layers]

    with pytest.raises(InputError, match=r"'too_far' chose \[4\]; the model has layers 0..3"):
        choose_layers("too_far", 4, 2, CRITICALITY, 0)


def read(**entry: Any) -> Strategy:
    return read_strategy({"strategies": {"mine": entry}}, "mine")


def test_a_strategy_is_declared() -> None:
    assert read() == Strategy()
    assert read(layers="circuit", least=True, count=2) == Strategy("circuit", True, 2)
    assert read(layers="all", higher="circuit", ratio=4).ratio == 4
    assert read(heads="circuit", least=True).heads == "circuit"
    assert not read(adapter=False).adapter
    filled = {"layers": "all", "least": False}  # as the config's schema fills it in
    assert read(**filled, adapter=False) == Strategy(adapter=False)
    assert read(**filled, heads="circuit", adapter=True) == Strategy(heads="circuit")
    assert read(layers="random", draws=5).draws == 5
    assert read(higher="random", draws=5).draws == 5
    assert read(layers=[2, 3, 5], modules=["mlp.c_fc"]) == Strategy([2, 3, 5], modules=["mlp.c_fc"])
    assert read(layers=[2, 3, 5], higher="last", count=1).count == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"layers": "best"}, r"mine.layers: 'best' is not one of all, last, random, differential"),
        ({"higher": "best", "ratio": 2}, r"mine.higher: 'best' is not one of all"),
        ({"heads": "differential"}, r"mine.heads: 'differential' is not one of circuit, circuit_raw"),
        ({"layer": "all"}, r"mine.layer: unknown key, a strategy has layers, least, count"),
        ({"layers": "random", "least": True}, r"mine.least: needs layers that are one of differential"),
        ({"higher": "circuit", "ratio": -1}, r"mine.ratio: -1 is not above 0"),
        ({"rank": 0}, r"mine.rank: 0 is not at least 1"),
        ({"heads": "circuit", "layers": "last"}, r"mine.heads: goes without layers"),
        ({"adapter": False, "rank": 3}, r"mine.adapter: false trains every parameter and goes without rank"),
        ({"adapter": False, "modules": ["c_fc"]}, r"mine.adapter: .* goes without modules"),
        ({"layers": []}, r"mine.layers: \[\] is not a list of different layers"),
        ({"layers": [1, 1]}, r"mine.layers: \[1, 1\] is not a list of different layers"),
        ({"layers": [-1]}, r"mine.layers: \[-1\] is not a list"),
        ({"layers": [0, 1], "least": True}, r"mine.least: needs layers that are one of differential"),
        ({"layers": "all", "count": 2}, r"mine.count: has no effect, layers: all takes them all"),
        ({"count": 2}, r"mine.count: has no effect"),
        ({"layers": [0, 1], "count": 2}, r"mine.count: has no effect, a list of layers takes them all"),
        ({"layers": "circuit", "ratio": 2}, r"mine.ratio: needs higher"),
        ({"higher": "all"}, r"mine.higher: all would rank no layer"),
        ({"layers": "circuit", "draws": 3}, r"mine.draws: only layers \(or higher\) that are random"),
        ({"modules": []}, r"mine.modules: names no module"),
    ],
)
def test_what_a_strategy_may_not_say(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"lora.strategies." + message):
        read(**entry)


def test_an_unknown_strategy() -> None:
    with pytest.raises(InputError, match="no strategy 'other', only mine"):
        read_strategy({"strategies": {"mine": {}}}, "other")


def test_no_strategy_takes_the_base_s_name() -> None:
    with pytest.raises(
        InputError, match=r"lora\.strategies\.base: this name is the model's without training"
    ):
        read_strategy({"strategies": {"base": {}}}, "base")


def test_a_list_of_layers_is_checked_against_the_model() -> None:
    assert stated_layers([3, 0], 4, "k") == [0, 3]
    with pytest.raises(InputError, match=r"^k: there is no layer 4; the model has layers 0\.\.3$"):
        stated_layers([2, 4], 4, "k")


@pytest.mark.parametrize(
    ("entry", "drawn", "critical", "count"),
    [
        ({}, False, False, False),
        ({"layers": "last"}, False, False, True),
        ({"layers": [0, 2]}, False, False, False),
        ({"layers": "random"}, True, False, True),
        ({"layers": "circuit"}, False, True, True),
        ({"layers": "mine"}, False, True, True),  # a function of the user's may look at it
        ({"layers": "all", "higher": "circuit"}, False, True, True),
        ({"layers": [0, 2], "higher": "random"}, True, False, True),
        ({"heads": "circuit"}, False, True, False),
        ({"adapter": False}, False, False, False),
    ],
)
def test_what_a_strategy_depends_on(entry: dict[str, Any], drawn: bool, critical: bool, count: bool) -> None:
    assert (is_drawn(entry), needs_criticality(entry), needs_count(entry)) == (drawn, critical, count)
