"""One run: what is in its folder, that it loads, stops, repeats and resumes, and what is equal between strategies."""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lora.lora_settings import inputs, lora, recipe, run
from safetensors.torch import load_file

from rewire.checkpoints import training
from rewire.checkpoints.token_mean_trainer import Example
from rewire.errors import InputError
from rewire.lora import adapters
from rewire.lora.adapters import PLAN, validated_steps
from rewire.pretrained import load_tokenizer, load_transformer, resolve_adapter
from rewire.tables import read_table

FILES = ("adapter_model.safetensors", "adapter_config.json", "training.parquet", "plan.parquet")


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inputs(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, data: Path) -> Path:
    return run(tiny_model_folder, data, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, data: Path) -> Path:
    return run(tiny_model_folder, data, tmp_path_factory.mktemp("full"), "full")


def plan_of(folder: Path) -> dict[str, Any]:
    (plan,) = read_table(folder / "plan.parquet").to_pylist()
    return dict(plan)


def losses(folder: Path) -> dict[int, float]:
    rows = read_table(folder / "training.parquet").to_pylist()
    return {row["step"]: row["validation_loss"] for row in rows if row["validation_loss"] is not None}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} >= set(FILES)
    assert sorted(path.name for path in whole.parent.iterdir()) == ["adapter", "cost.tsv"]
    steps = read_table(whole / "training.parquet").to_pylist()
    assert [row["step"] for row in steps] == list(range(7))
    assert list(losses(whole)) == [0, 2, 4, 6]
    modules = json.loads((whole / "adapter_config.json").read_text())["target_modules"]
    assert modules == ["transformer.h.1.attn.c_attn", "transformer.h.1.mlp.c_fc"]


def test_weights_are_readable_like_other_files(whole: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in whole.iterdir()} == {0o644 & ~mask}


def test_the_plan_is_what_was_trained(whole: Path, tiny_model_folder: Path) -> None:
    plan = plan_of(whole)
    assert read_table(whole / "plan.parquet").schema == PLAN
    assert (plan["strategy"], plan["seed"], plan["learning_rate"], plan["layers"]) == (
        "circuit",
        0,
        0.01,
        [1],
    )
    assert plan["modules"] == ["transformer.h.1.attn.c_attn", "transformer.h.1.mlp.c_fc"]
    assert (plan["ranks"], plan["heads"]) == ([10, 10], [])
    tensors = load_file(whole / "adapter_model.safetensors")
    assert plan["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert plan["parameters"] == 10 * ((16 + 48) + (16 + 64))
    assert plan["base_parameters"] == sum(p.numel() for p in load_transformer(tiny_model_folder).parameters())
    assert all(".h.1." in name for name in tensors)
    assert any(float(tensor.abs().max()) > 0 for name, tensor in tensors.items() if "lora_B" in name)


def test_it_loads_with_peft_and_with_our_own_loader(whole: Path, tiny_model_folder: Path) -> None:
    from peft import PeftModel

    tokens = torch.arange(1, 21).view(2, 10)
    with torch.no_grad():
        base = load_transformer(tiny_model_folder)
        plain = base(tokens).logits
        adapted = PeftModel.from_pretrained(base, str(whole)).eval()(tokens).logits
        merged = load_transformer(*resolve_adapter(whole, None))(tokens).logits
    assert torch.allclose(adapted, merged, atol=1e-5)
    assert not torch.allclose(adapted, plain, atol=1e-5)


def test_full_is_a_model_folder(full: Path, tiny_model_folder: Path) -> None:
    base, trained = load_transformer(tiny_model_folder), load_transformer(full)
    count = sum(p.numel() for p in base.parameters())
    plan = plan_of(full)
    assert (plan["parameters"], plan["base_parameters"]) == (count, 0)
    assert (plan["modules"], plan["ranks"], plan["heads"], plan["layers"]) == ([], [], [], [0, 1])
    for name, value in base.named_parameters():
        assert not torch.equal(value, trained.get_parameter(name)), name
    assert load_tokenizer(full).eos_token_id == load_tokenizer(tiny_model_folder).eos_token_id
    assert (full / "training.parquet").is_file()


def constant(steps: int) -> dict[str, Any]:
    return recipe(steps=steps, schedule="constant", warmup=0)


@pytest.mark.parametrize(("strategy", "rate"), [("circuit-heads", 100.0), ("full", 0.1), ("circuit", 10.0)])
def test_the_best_validated_weights_are_kept(
    strategy: str, rate: float, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    """Where the loss rises again (or is no number), the weights are those of a run that ends at its lowest."""
    found = run(tiny_model_folder, data, tmp_path / "run", strategy, learning_rate=rate, training=constant(8))
    plan, measured = plan_of(found), losses(found)
    finite = {step: loss for step, loss in measured.items() if step and math.isfinite(loss)}
    best = min(finite, key=finite.__getitem__)
    assert (plan["best_step"], plan["best_loss"], plan["steps"]) == (best, measured[best], 8)
    assert best < 8, "the learning rate is too low for this test"
    changes = {"learning_rate": rate, "training": constant(best)}
    until = run(tiny_model_folder, data, tmp_path / "short", strategy, validate_every=best, **changes)
    weights = "model.safetensors" if strategy == "full" else "adapter_model.safetensors"
    assert (found / weights).read_bytes() == (until / weights).read_bytes()


def test_it_stops_when_patience_is_over(tiny_model_folder: Path, data: Path, tmp_path: Path) -> None:
    found = run(
        tiny_model_folder, data, tmp_path, "full", learning_rate=1.0, patience=2, training=constant(10)
    )
    measured = losses(found)
    assert list(measured) == [0, 2, 4]  # twice in a row not below step 0
    assert min(measured, key=measured.__getitem__) == 0
    plan = plan_of(found)
    assert plan["steps"] == 4
    assert plan["best_step"] == min((2, 4), key=measured.__getitem__)  # step 0 is never kept


def test_the_last_step_is_validated() -> None:
    assert validated_steps(7, 3) == [3, 6, 7]
    assert validated_steps(6, 3) == [3, 6]
    assert validated_steps(2, 3) == [2]


def test_same_seed_same_bytes_and_another_seed_others(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    assert contents(run(tiny_model_folder, data, tmp_path / "a")) == contents(whole)
    other = run(tiny_model_folder, data, tmp_path / "b", seed=1)
    assert (other / FILES[0]).read_bytes() != (whole / FILES[0]).read_bytes()


def kill_after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, calls: int) -> None:
    """Let ``owner.name`` raise instead of doing its work from call number ``calls`` on."""
    original, seen = getattr(owner, name), [0]

    def killing(*args: Any, **kwargs: Any) -> Any:
        seen[0] += 1
        if seen[0] > calls:
            raise Killed
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, killing)


KILLS = [
    (adapters, "save_adapter", 0),  # before the first best is kept
    (adapters, "save_adapter", 1),
    (adapters, "drop_before", 0),  # saved, nothing dropped yet
    (training.TokenMeanTrainer, "compute_loss", 5),  # between two saves
    (adapters, "outcome", 0),  # training is over, nothing is written
    (adapters, "write_table", 0),  # half of the folder is written
]


@pytest.mark.parametrize(("owner", "name", "calls"), KILLS)
def test_a_killed_run_resumes_and_ends_in_the_same_bytes(
    whole: Path,
    tiny_model_folder: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    calls: int,
) -> None:
    kill_after(monkeypatch, owner, name, calls)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "adapter").exists()
    assert contents(run(tiny_model_folder, data, tmp_path)) == contents(whole)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("strategy", "rate"), [("circuit", 100.0), ("full", 1.0), ("circuit-heads", 100.0)])
def test_a_run_that_stopped_early_and_was_killed_takes_no_further_step(
    tiny_model_folder: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    rate: float,
) -> None:
    changes: dict[str, Any] = {"learning_rate": rate, "patience": 2, "training": constant(10)}
    expected = run(tiny_model_folder, data, tmp_path / "whole", strategy, **changes)
    assert plan_of(expected)["steps"] < 10
    kill_after(monkeypatch, adapters, "outcome", 0)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path / "killed", strategy, **changes)
    monkeypatch.undo()
    kill_after(
        monkeypatch, training.TokenMeanTrainer, "compute_loss", 0
    )  # its last checkpoint says it is over
    again = run(tiny_model_folder, data, tmp_path / "killed", strategy, **changes)
    assert contents(again) == contents(expected)


@pytest.mark.parametrize("strategy", ["full", "circuit-heads"])
def test_other_kinds_of_run_resume_too(
    tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    expected = run(tiny_model_folder, data, tmp_path / "whole", strategy)
    kill_after(monkeypatch, training.TokenMeanTrainer, "compute_loss", 5)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path / "killed", strategy)
    monkeypatch.undo()
    assert contents(run(tiny_model_folder, data, tmp_path / "killed", strategy)) == contents(expected)


def test_killed_while_the_work_is_removed(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best weights are gone already, the checkpoint is not: it must not be resumed."""

    original = shutil.rmtree

    def half(path: Any, *args: Any, **kwargs: Any) -> None:
        if Path(path).name == "work":
            original(path / "kept")
            raise Killed
        original(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", half)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path)
    monkeypatch.undo()
    assert contents(run(tiny_model_folder, data, tmp_path)) == contents(whole)


@pytest.mark.parametrize(
    "changes",
    [{"rank": 3}, {"alpha_per_rank": 1}, {"dropout": 0.0}, {"learning_rate": 1e-3}, {"patience": 1}],
)
def test_changed_settings_drop_the_unfinished_run(
    tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    kill_after(monkeypatch, adapters, "outcome", 0)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path / "killed")
    monkeypatch.undo()
    found = run(tiny_model_folder, data, tmp_path / "killed", **changes)
    fresh = run(tiny_model_folder, data, tmp_path / "fresh", **changes)
    assert contents(found) == contents(fresh)


def test_strategies_have_equal_budgets(tiny_model_folder: Path, data: Path, tmp_path: Path) -> None:
    plans = {
        name: plan_of(run(tiny_model_folder, data, tmp_path / name, name, training=recipe(steps=1)))
        for name in lora()["strategies"]
    }
    budget = 5 * 2 * (16 + 48 + 16 + 64)
    for name, plan in plans.items():
        if name not in ("full", "unmatched", "circuit-heads"):
            assert abs(plan["parameters"] - budget) <= 0.01 * budget, name
    assert {name: plan["ranks"] for name, plan in plans.items() if name != "circuit-heads"} == {
        "standard": [5, 5, 5, 5],
        "circuit": [10, 10],
        "random": [10, 10],
        "inverse": [10, 10],
        "circuit-rank": [3, 3, 7, 7],
        "unmatched": [3, 3],
        "stated": [9, 9],  # the budget is that of lora.target_modules, 1440 / (16 + 64 + 64 + 16)
        "full": [],
    }
    assert plans["stated"]["modules"] == ["transformer.h.1.mlp.c_fc", "transformer.h.1.mlp.c_proj"]
    assert (plans["inverse"]["layers"], plans["standard"]["layers"]) == ([0], [0, 1])
    assert plans["circuit-heads"]["heads"] == ["a1.h0"]
    assert plans["circuit-heads"]["modules"] == ["transformer.h.1.attn.c_attn"]
    assert plans["circuit-heads"]["ranks"] == [36]
    assert plans["circuit-heads"]["parameters"] == 36 * (16 + 3 * 8)  # inputs and live outputs


def test_every_strategy_of_a_seed_sees_the_same_batches(
    tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = training.collate, []

    def watching(examples: list[Example]) -> dict[str, torch.Tensor]:
        seen.append([tuple(example.tokens) for example in examples])
        return original(examples)

    monkeypatch.setattr(training, "collate", watching)
    batches = {}
    for name, seed in (("standard", 0), ("circuit", 0), ("full", 0), ("circuit-heads", 0), ("standard", 1)):
        run(tiny_model_folder, data, tmp_path / f"{name}-{seed}", name, seed)
        batches[name, seed] = seen.copy()
        seen.clear()
    first = batches["standard", 0]
    assert len(first) >= 6
    assert all(batches[name, 0] == first for name in ("circuit", "full", "circuit-heads"))
    assert batches["standard", 1] != first


def test_an_unknown_module_is_named_and_nothing_is_written(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="q_proj"):
        run(tiny_model_folder, data, tmp_path, target_modules=["q_proj"])
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []
