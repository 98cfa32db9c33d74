"""Training one adapter: what is in its folder, that it loads, repeats, and resumes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import articles_table, newswire_rows, training_settings

from rewire.errors import InputError
from rewire.lora import adapters
from rewire.lora.adapters import PLAN, train_adapter
from rewire.lora.criticality import SCHEMA as CRITICALITY
from rewire.pretrained import load_transformer, resolve_adapter
from rewire.tables import read_table, write_table

FILES = ("adapter_model.safetensors", "adapter_config.json", "training.parquet", "plan.parquet")


class Killed(Exception):
    pass


def lora(**changes: Any) -> dict[str, Any]:
    """The config's lora section."""
    training = training_settings()
    training.pop("seed")
    return {
        "strategies": {
            "standard": {"layers": "all"},
            "circuit": {"layers": "circuit"},
            "random": {"layers": "random"},
        },
        "critical_layers": 1,
        "rank": 2,
        "alpha_per_rank": 2,
        "dropout": 0.1,
        "target_modules": ["attn.c_attn", "mlp.c_fc"],
        "validate_every": 3,
        "training": training,
    } | changes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    articles_table(folder / "train.parquet", newswire_rows(10))
    articles_table(folder / "validation.parquet", newswire_rows(4, "validation"))
    rows = [{"criterion": "circuit", "layer": layer, "value": float(layer)} for layer in range(2)]
    write_table(folder / "criticality.parquet", rows, CRITICALITY)
    return folder


def run(base: Path, data: Path, out: Path, strategy: str = "circuit", seed: int = 0, **changes: Any) -> Path:
    inputs = (data / "train.parquet", data / "validation.parquet", data / "criticality.parquet")
    train_adapter(base, *inputs, strategy, seed, lora(**changes), out / "adapter", out / "work")
    return out / "adapter"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, data: Path) -> Path:
    return run(tiny_model_folder, data, tmp_path_factory.mktemp("whole"))


def test_the_folder(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} >= set(FILES)
    assert [path.name for path in whole.parent.iterdir()] == ["adapter"]
    steps = read_table(whole / "training.parquet").to_pylist()
    assert [row["step"] for row in steps] == list(range(7))
    assert [row["step"] for row in steps if row["validation_loss"] is not None] == [0, 3, 6]
    modules = json.loads((whole / "adapter_config.json").read_text())["target_modules"]
    assert modules == ["transformer.h.1.attn.c_attn", "transformer.h.1.mlp.c_fc"]


def test_the_plan_is_what_was_trained(whole: Path, tiny_model_folder: Path) -> None:
    (plan,) = read_table(whole / "plan.parquet").to_pylist()
    assert read_table(whole / "plan.parquet").schema == PLAN
    assert (plan["strategy"], plan["seed"], plan["layers"], plan["rank"]) == ("circuit", 0, [1], 4)
    tensors = load_file(whole / "adapter_model.safetensors")
    assert plan["parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert plan["parameters"] == 4 * ((16 + 48) + (16 + 64))
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


def test_same_seed_same_bytes_and_another_seed_others(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    again = run(tiny_model_folder, data, tmp_path / "a")
    for name in FILES:
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    other = run(tiny_model_folder, data, tmp_path / "b", seed=1)
    assert (other / FILES[0]).read_bytes() != (whole / FILES[0]).read_bytes()


def interrupt(monkeypatch: pytest.MonkeyPatch, base: Path, data: Path, out: Path) -> None:
    """A run that is killed when its training is over and nothing is written yet."""

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(adapters, "tidy", killed)
    with pytest.raises(Killed):
        run(base, data, out)
    monkeypatch.undo()
    assert not (out / "adapter").exists()


def test_a_killed_run_resumes_and_ends_in_the_same_bytes(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, tiny_model_folder, data, tmp_path)
    again = run(tiny_model_folder, data, tmp_path)
    for name in FILES:
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("changes", [{"rank": 3}, {"alpha_per_rank": 1}, {"dropout": 0.0}])
def test_changed_adapter_settings_drop_the_unfinished_run(
    tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    interrupt(monkeypatch, tiny_model_folder, data, tmp_path / "killed")
    found = run(tiny_model_folder, data, tmp_path / "killed", **changes)
    fresh = run(tiny_model_folder, data, tmp_path / "fresh", **changes)
    assert (found / FILES[0]).read_bytes() == (fresh / FILES[0]).read_bytes()


def test_strategies_have_equal_budgets(tiny_model_folder: Path, data: Path, tmp_path: Path) -> None:
    short = {"training": training_settings(steps=1)}
    plans = [
        read_table(run(tiny_model_folder, data, tmp_path / name, name, **short) / "plan.parquet").to_pylist()[
            0
        ]
        for name in ("standard", "circuit", "random")
    ]
    assert len({plan["parameters"] for plan in plans}) == 1
    assert [plan["rank"] for plan in plans] == [2, 4, 4]
    assert plans[0]["layers"] == [0, 1]


def test_an_unknown_module_is_named_and_nothing_is_written(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="q_proj"):
        run(tiny_model_folder, data, tmp_path, target_modules=["q_proj"])
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []
