"""What a stage trains, and that its checkpoints are what they say."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sequential.worlds import World, section

from rewire.checkpoints.token_mean_trainer import IGNORED
from rewire.circuits.graph import Graph
from rewire.circuits.scores_file import read_scores
from rewire.errors import InputError
from rewire.pairs import read_pairs
from rewire.pretrained import load_transformer, resolve_adapter
from rewire.sequential.adapters import nodes_of_side, random_places
from rewire.sequential.training import answer_examples, train_stage
from rewire.tables import read_table


def weights(folder):
    return load_transformer(*resolve_adapter(folder, None)).state_dict()


def changed(before, after):
    """Names of the weights that differ."""
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_loss_is_on_the_answer_alone(world):
    table = world.tables("add")["train"]
    examples = answer_examples([table])
    _, pairs = read_pairs(table)
    assert len(examples) == len(pairs) == 40
    for example, clean in zip(examples, pairs.clean, strict=True):
        assert example.tokens == clean.tolist()
        assert example.labels == [IGNORED] * (len(clean) - 1) + [int(clean[-1])]


def test_a_stage_keeps_its_steps_and_says_what_they_are_put_on(world):
    folder = world.trained("add")
    assert sorted(path.name for path in folder.iterdir()) == ["step-000002", "step-000004"]
    described = json.loads((folder / "step-000004/adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == str(world.base)
    assert changed(weights(world.base), weights(folder / "step-000002"))
    steps = read_table(world.folder / "add/training.parquet")["step"].to_pylist()
    assert steps[0] == 0 and steps[-1] == 4


def test_an_unknown_module_is_refused(world, tmp_path):
    settings = section()
    settings["adapter"] = settings["adapter"] | {"target_modules": ["attn.nothing"]}
    tables = [world.tables("add")["train"]]
    with pytest.raises(InputError, match="sequential.adapter.target_modules.*attn.nothing"):
        train_stage(world.base, tables, tables, settings, tmp_path / "f", tmp_path / "t", tmp_path / "w")


@pytest.mark.parametrize("variant", ["kept", "stacked", "prior", "inside", "random"])
def test_a_killed_second_stage_goes_on_and_ends_in_the_same_bytes(world, tmp_path, monkeypatch, variant):
    from rewire.sequential import training

    start, tables = world.trained("add") / "step-000004", world.tables("max")
    declared = world.settings["variants"][variant]
    circuit = world.single("add").scores("add") if "circuit" in declared else None
    files = tmp_path / "f", tmp_path / "t", tmp_path / "w"

    def stage():
        train_stage(
            start, [tables["train"]], [tables["validation"]], section(), *files, declared, circuit
        )  # fmt: skip

    whole = world.trained(f"add-max/{variant}")
    save = training.save_adapter

    def until_the_end(folder, adapted):
        if folder.name == "step-000004":
            raise KeyboardInterrupt
        save(folder, adapted)

    monkeypatch.setattr(training, "save_adapter", until_the_end)
    with pytest.raises(KeyboardInterrupt):
        stage()
    assert not files[0].exists() and list(files[2].glob("checkpoint-*"))
    monkeypatch.undo()
    stage()
    assert not files[2].exists()
    for step in ("step-000002", "step-000004"):
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            assert (files[0] / step / name).read_bytes() == (whole / step / name).read_bytes()
    table = read_table(world.folder / f"add-max/{variant}" / "training.parquet")
    assert read_table(files[1]).equals(table)


def second(world: World, tmp_path, variant, name="second", **changes):
    """The last checkpoint of a second stage on max after add."""
    settings, tables = section(**changes), world.tables("max")
    circuit = world.single("add").scores("add") if "circuit" in variant else None
    folder = tmp_path / name
    train_stage(
        world.trained("add") / "step-000004",
        [tables["train"]],
        [tables["validation"]],
        settings,
        folder,
        tmp_path / f"{name}.parquet",
        tmp_path / f".{name}",
        variant,
        circuit,
    )
    return folder / "step-000004"


def test_at_rate_0_nothing_changes_whatever_becomes_of_the_adapter(world, tmp_path):
    start = weights(world.trained("add") / "step-000004")
    for adapters in ("continued", "stacked", "merged"):
        end = weights(second(world, tmp_path, {"adapters": adapters, "rate": 0}, adapters))
        for name in start:
            torch.testing.assert_close(end[name], start[name], rtol=1e-5, atol=1e-6)


def test_a_continued_adapter_is_the_first_one_trained_on(world, tmp_path):
    end = second(world, tmp_path, {"adapters": "continued", "rate": 1})
    assert json.loads((end / "adapter_config.json").read_text())["base_model_name_or_path"] == str(world.base)
    assert changed(weights(world.trained("add") / "step-000004"), weights(end))


def test_an_adapter_on_a_frozen_adapter_computes_what_one_on_merged_weights_does(world, tmp_path):
    stacked, merged = (
        second(world, tmp_path, {"adapters": adapters, "rate": 1}, adapters)
        for adapters in ("stacked", "merged")
    )
    first = world.trained("add") / "step-000004"
    for folder in (stacked, merged):
        described = json.loads((folder / "adapter_config.json").read_text())
        assert described["base_model_name_or_path"] == str(first)
    one, two, before = weights(stacked), weights(merged), weights(first)
    assert changed(before, one)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)


def test_training_in_full_goes_on_in_full(world, tmp_path):
    tables = world.tables("add")
    settings = section(full=True)
    folder = tmp_path / "first"
    train_stage(
        world.base,
        [tables["train"]],
        [tables["validation"]],
        settings,
        folder,
        tmp_path / "t",
        tmp_path / "w",
    )
    first, base = folder / "step-000004", weights(world.base)
    assert (first / "config.json").is_file() and (first / "tokenizer.json").is_file()
    assert changed(base, weights(first)) == set(base)  # embeddings and norms too
    end = tmp_path / "second"
    train_stage(
        first,
        [tables["train"]],
        [tables["validation"]],
        settings,
        end,
        tmp_path / "t",
        tmp_path / "w",
        {"adapters": "continued"},
    )
    assert changed(weights(first), weights(end / "step-000004")) == set(base)
    merged = tmp_path / "merged"
    train_stage(
        first,
        [tables["train"]],
        [tables["validation"]],
        settings,
        merged,
        tmp_path / "t",
        tmp_path / "w",
        {"adapters": "merged"},
    )  # an adapter even so, on weights that were trained in full
    described = json.loads((merged / "step-000004/adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == str(first)
    told = read_table(tmp_path / "t")["parameters"].to_pylist()[0]
    assert told == 2 * 2 * ((16 + 48) + (16 + 16) + (16 + 64) + (64 + 16))  # layers, rank
    with pytest.raises(InputError, match="stacked on an adapter"):
        train_stage(
            first,
            [tables["train"]],
            [tables["validation"]],
            section(),
            end,
            tmp_path / "t",
            tmp_path / "w",
            {"adapters": "stacked"},
        )


def owned(name: str, heads: set[tuple[int, int]], mlps: set[int]) -> torch.Tensor | None:
    """bool like a weight of the tiny GPT-2 (4 heads, width 16), [in, out]: what belongs to these heads and MLPs."""
    if ".mlp.c_" in name and name.endswith("weight"):
        shape = (16, 64) if "c_fc" in name else (64, 16)
        return torch.full(shape, int(name.split(".")[2]) in mlps)
    if ".attn.c_" not in name or not name.endswith("weight"):
        return None
    layer = int(name.split(".")[2])
    mine = torch.tensor([(layer, head) in heads for head in range(4)]).repeat_interleave(4)
    if "c_attn" in name:
        return mine.repeat(3)[None, :].expand(16, 48)
    return mine[:, None].expand(16, 16)


def test_one_side_of_the_circuit_is_trained_and_the_other_is_not_touched(world, tmp_path):
    circuit = read_scores(world.single("add").scores("add"))[1]
    before = weights(world.trained("add") / "step-000004")
    touched = {}
    for side in ("inside", "outside"):
        end = weights(second(world, tmp_path, {"adapters": "merged", "rate": 1, "circuit": side}, side))
        heads, mlps = nodes_of_side(circuit, side)
        moved = {name: (end[name] - before[name]).abs() > 1e-7 for name in before}
        for name, mask in moved.items():
            allowed = owned(name, set(heads), mlps)
            assert not (mask if allowed is None else mask & ~allowed).any(), name
        assert any(mask.any() for mask in moved.values())
        touched[side] = moved
        told = read_table(tmp_path / f"{side}.parquet")["parameters"].to_pylist()
        modules = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
        inputs, outputs = {"mlp.c_proj": 64}, {"attn.c_attn": 48, "mlp.c_fc": 64}
        per_head = {
            "attn.c_attn": 12,
            "attn.c_proj": 4,
        }  # of 16 wide heads of 4: rows of q, k and v, or columns
        expected = 0
        for layer, module in itertools.product(range(2), modules):
            own = sum(at == layer for at, _ in heads)
            if module.startswith("mlp"):
                live = (inputs.get(module, 16) + outputs.get(module, 16)) * (layer in mlps)
            else:
                live = (16 + per_head[module] * own) * (own > 0)
            expected += 2 * live  # rank 2
        assert set(told) == {expected}
    assert not any((touched["inside"][name] & touched["outside"][name]).any() for name in before)
    assert 0 < int(circuit.nodes.sum()) < len(circuit.nodes)  # else one side is empty


def test_random_places_are_as_many_of_each_kind_and_train_as_many_parameters(world, tmp_path):
    circuit = read_scores(world.single("add").scores("add"))[1]
    before = weights(world.trained("add") / "step-000004")
    heads, mlps = nodes_of_side(circuit, "inside")
    second(world, tmp_path, {"adapters": "merged", "rate": 1, "circuit": "inside"}, "inside")
    expected = read_table(tmp_path / "inside.parquet")["parameters"].to_pylist()[0]
    for seed in range(3):
        variant = {"adapters": "merged", "rate": 1, "circuit": "random", "seed": seed}
        end = weights(second(world, tmp_path, variant, f"random-{seed}"))
        drawn = random_places(heads, mlps, circuit.graph, 1, seed)
        assert (len(drawn[0]), len(drawn[1])) == (len(heads), len(mlps))
        moved = {name: (end[name] - before[name]).abs() > 1e-7 for name in before}
        for name, mask in moved.items():
            allowed = owned(name, set(drawn[0]), drawn[1])
            assert not (mask if allowed is None else mask & ~allowed).any(), name
        assert any(mask.any() for mask in moved.values())
        assert set(read_table(tmp_path / f"random-{seed}.parquet")["parameters"].to_pylist()) == {expected}


@given(st.data())
def test_random_places_keep_every_count_that_parameters_depend_on(data):
    """Layers with a head, heads in each of them, and groups of heads that share a key and value."""
    layers, groups, group = (data.draw(st.integers(1, most)) for most in (4, 3, 3))
    graph = Graph(layers, groups * group, 6)
    every = list(itertools.product(range(layers), range(graph.n_heads)))
    heads = sorted(data.draw(st.sets(st.sampled_from(every))))
    mlps = data.draw(st.sets(st.integers(0, layers - 1)))
    seed = data.draw(st.integers(0, 1000))
    drawn, drawn_mlps = random_places(heads, mlps, graph, group, seed)
    assert set(drawn) <= set(every) and drawn_mlps <= set(range(layers))
    assert len(set(drawn)) == len(heads) and len(drawn_mlps) == len(mlps)

    def profile(places):
        """For every layer that has a head, in no order: how many heads each of its groups has, in no order."""
        counts = Counter((layer, head // group) for layer, head in places)
        return sorted(
            sorted(n for (at, _), n in counts.items() if at == layer) for layer in {at for at, _ in counts}
        )

    assert profile(drawn) == profile(heads)
    assert random_places(heads, mlps, graph, group, seed) == (drawn, drawn_mlps)


def test_every_place_can_be_drawn():
    graph = Graph(3, 4, 8)
    drawn = [random_places([(0, 0), (0, 1), (2, 3)], {1}, graph, 2, seed) for seed in range(200)]
    assert {head for heads, _ in drawn for head in heads} == set(itertools.product(range(3), range(4)))
    assert {layer for _, mlps in drawn for layer in mlps} == {0, 1, 2}
