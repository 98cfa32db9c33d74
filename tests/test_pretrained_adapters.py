"""PEFT adapters are merged into what they are on, read from safetensors alone, and named where they lack something."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import RemoteEntryNotFoundError
from model_folders import cached, lora, offline, refused
from tiny_models import tiny_model, tiny_tokenizer

from rewire.pretrained import (
    bottom_of,
    load_transformer,
    resolve_adapter,
)


def test_an_adapter_is_merged(tmp_path: Path, tiny_model_folder: Path) -> None:
    adapted = lora(tiny_model_folder, tmp_path / "adapter", tiny_model_folder)
    tokens = torch.arange(20).view(2, 10)
    with torch.no_grad():
        expected = adapted(tokens).logits
        merged = load_transformer(tiny_model_folder, tmp_path / "adapter")
        plain = load_transformer(tiny_model_folder)(tokens).logits
        assert torch.allclose(merged(tokens).logits, expected, atol=1e-5)
    assert not torch.allclose(plain, expected, atol=1e-2)
    assert type(merged) is type(load_transformer(tiny_model_folder))
    assert not [name for name, _ in merged.named_modules() if "lora" in name]


def test_a_whole_model_in_the_place_of_an_adapter(tmp_path: Path, tiny_model_folder: Path) -> None:
    tuned = load_transformer(tiny_model_folder)
    with torch.no_grad():
        tuned.get_parameter("transformer.wte.weight").add_(1)
    tuned.save_pretrained(tmp_path / "tuned")
    loaded = load_transformer(tiny_model_folder, tmp_path / "tuned")
    for name, value in tuned.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_an_adapter_s_path_may_hold_an_environment_variable(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora(tiny_model_folder, tmp_path / "adapter", tiny_model_folder)
    monkeypatch.setenv("MY_ADAPTERS", str(tmp_path))
    merged = load_transformer(*resolve_adapter(tiny_model_folder, "$MY_ADAPTERS/adapter"))
    expected = load_transformer(tiny_model_folder, tmp_path / "adapter")
    name = "transformer.h.0.attn.c_attn.weight"
    assert torch.equal(merged.get_parameter(name), expected.get_parameter(name))


def test_resolve_adapter(tmp_path: Path, tiny_model_folder: Path) -> None:
    lora(tiny_model_folder, tmp_path / "adapter", "some/base")
    assert resolve_adapter("gpt2", None) == ("gpt2", None)
    assert resolve_adapter(str(tiny_model_folder), None) == (str(tiny_model_folder), None)
    base, adapter = resolve_adapter(tmp_path / "adapter", None)
    assert (base, Path(str(adapter))) == ("some/base", tmp_path / "adapter")
    assert resolve_adapter(str(tiny_model_folder), "given")[1] == "given"


@pytest.mark.parametrize("config", ['{"base_model_name_or_path": null}', "{}", "{"])
def test_an_adapter_without_a_base(tmp_path: Path, config: str) -> None:
    (tmp_path / "adapter_config.json").write_text(config)
    assert "adapter_config.json" in refused(lambda: resolve_adapter(tmp_path, None))


def test_a_missing_adapter_is_named(tmp_path: Path, tiny_model_folder: Path) -> None:
    assert "absent" in refused(lambda: load_transformer(tiny_model_folder, tmp_path / "absent"))


def test_an_adapter_of_another_model_is_named(tmp_path: Path, tiny_model_folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer, n_embd=24).save_pretrained(tmp_path / "wide")
    lora(tmp_path / "wide", tmp_path / "adapter", tiny_model_folder)
    assert str(tmp_path / "adapter") in refused(
        lambda: load_transformer(tiny_model_folder, tmp_path / "adapter")
    )


def test_an_adapter_in_a_pickle_is_refused(tmp_path: Path, tiny_model_folder: Path) -> None:
    from safetensors.torch import load_file

    out = tmp_path / "adapter"
    lora(tiny_model_folder, out, tiny_model_folder)
    torch.save(load_file(out / "adapter_model.safetensors"), out / "adapter_model.bin")
    (out / "adapter_model.safetensors").unlink()
    assert "pickle" in refused(lambda: load_transformer(tiny_model_folder, out))


def test_an_adapter_of_the_hub_in_a_pickle_is_refused(monkeypatch, tiny_model_folder: Path) -> None:
    asked = []

    def nothing_there(name: str, file: str) -> str:
        asked.append((name, file))
        raise RemoteEntryNotFoundError("404 Client Error", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr("rewire.pretrained.hf_hub_download", nothing_there)
    assert "nobody/adapter: no adapter_model.safetensors (a pickle can run code" in refused(
        lambda: load_transformer(tiny_model_folder, "nobody/adapter")
    )
    assert asked == [("nobody/adapter", "adapter_model.safetensors")]


@pytest.mark.parametrize(
    "load", ["load_transformer('me/adapter')", "load_transformer('me/base', 'me/adapter')"]
)
def test_an_adapter_in_the_cache_is_read_from_safetensors_alone(
    tmp_path: Path, tiny_model_folder: Path, load: str
) -> None:
    """Under its own name, or on a base model: a pickle beside its config is no reason to unpickle it."""
    from safetensors.torch import load_file

    adapter = tmp_path / "adapter"
    lora(tiny_model_folder, adapter, Path("me/base"))
    cached(tmp_path, "me/base", tiny_model_folder)
    kept = cached(tmp_path, "me/adapter", adapter)
    assert offline(tmp_path, load).returncode == 0
    torch.save(load_file(kept / "adapter_model.safetensors"), kept / "adapter_model.bin")
    (kept / "adapter_model.safetensors").unlink()
    done = offline(tmp_path, load)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "InputError" in last and "me/adapter" in last


def test_an_adapter_that_the_hub_does_not_hand_out_is_named(monkeypatch, tiny_model_folder: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "adapter 'nobody/adapter': not a directory, not in the local Hub cache" in refused(
        lambda: load_transformer(tiny_model_folder, "nobody/adapter")
    )


def test_an_adapter_on_an_adapter_is_loaded_with_what_is_below_it(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    lora(tiny_model_folder, first, tiny_model_folder)
    lora(tiny_model_folder, second, first, seed=2)
    base, one, both = (load_transformer(folder).state_dict() for folder in (tiny_model_folder, first, second))
    alone = load_transformer(tiny_model_folder, second).state_dict()  # given a base, it goes on that
    for name, weight in base.items():
        torch.testing.assert_close(both[name] - one[name], alone[name] - weight, atol=1e-6, rtol=1e-4)
    name = "transformer.h.0.attn.c_attn.weight"
    assert not torch.equal(one[name], base[name]) and not torch.equal(both[name], one[name])
    assert bottom_of(second) == str(tiny_model_folder) and bottom_of("gpt2") == "gpt2"


def test_adapters_in_a_circle_are_refused(tmp_path: Path, tiny_model_folder: Path) -> None:
    first, second, own = (tmp_path / name for name in ("first", "second", "own"))
    for folder, base in ((first, second), (second, first), (own, own)):
        lora(tiny_model_folder, folder, base)
    for folder in (first, own):
        assert "lead back to" in refused(lambda folder=folder: load_transformer(folder))
