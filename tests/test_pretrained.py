"""What a model or tokenizer folder lacks is said in one line; Hub ids work offline; adapters are merged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import RemoteEntryNotFoundError
from tiny_models import CONTEXT, tiny_model, tiny_tokenizer

from rewire.errors import InputError
from rewire.pretrained import (
    bottom_of,
    context_length,
    context_of,
    expand,
    load_config,
    load_tokenizer,
    load_transformer,
    resolve_adapter,
)

SOURCE = Path(__file__).parent.parent / "src"


@pytest.fixture
def folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "spoiled"))


def refused(load: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        load()
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def pickled(folder: Path) -> None:
    """The weights as a pickle only."""
    weights = load_transformer(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def lora(folder: Path, out: Path, base: Path | str, seed: int = 1) -> torch.nn.Module:
    """An adapter with weights that matter, saved to ``out``; returns the adapted model."""
    from peft import LoraConfig, get_peft_model

    model = load_transformer(folder)
    config = LoraConfig(r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    torch.manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(out))
    config_file = out / "adapter_config.json"
    config_file.write_text(
        json.dumps(json.loads(config_file.read_text()) | {"base_model_name_or_path": str(base)})
    )
    return adapted.eval()


def test_a_model_folder_loads(tiny_model_folder: Path) -> None:
    model = load_transformer(tiny_model_folder)
    assert not model.training
    assert context_length(model) == context_of(tiny_model_folder) == CONTEXT
    assert load_transformer(tiny_model_folder, dtype=torch.float64).dtype == torch.float64
    tokenizer = load_tokenizer(tiny_model_folder)
    assert tokenizer.decode(tokenizer("A storm é🎉.")["input_ids"]) == "A storm é🎉."


def test_environment_variables_and_home(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_MODELS", str(tiny_model_folder.parent))
    monkeypatch.setenv("HOME", str(tiny_model_folder.parent))
    assert expand("~/model") == str(tiny_model_folder)
    assert load_transformer("$MY_MODELS/model").config.n_layer == 2
    assert load_tokenizer("${MY_MODELS}/model").eos_token_id == 0
    assert expand("gpt2") == "gpt2"


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert str(folder) in refused(lambda: load_transformer(folder))
    assert str(folder) in refused(lambda: context_of(folder))


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    said = refused(lambda: load_transformer(folder))
    assert str(folder) in said
    assert "no weights" in said


def test_a_pickle_is_refused_unless_allowed(folder: Path) -> None:
    before = load_transformer(folder)(torch.arange(5)[None]).logits
    pickled(folder)
    said = refused(lambda: load_transformer(folder))
    assert str(folder / "pytorch_model.bin") in said
    assert "allow_pickle" in said
    assert torch.equal(load_transformer(folder, allow_pickle=True)(torch.arange(5)[None]).logits, before)


def test_a_pickle_beside_an_adapter_s_safetensors_is_refused(folder: Path) -> None:
    pickled(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    assert str(folder) in refused(lambda: load_transformer(folder))


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated_weights(folder: Path, keep: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert str(folder) in refused(lambda: load_transformer(folder))


def test_weights_that_lack_a_tensor_are_refused(folder: Path) -> None:
    """transformers would make them up at random."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"], weights["transformer.ln_f.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    said = refused(lambda: load_transformer(folder))
    assert said == f"{folder}: its weights lack transformer.h.1.mlp.c_fc.weight and 1 others"


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
)
@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_a_broken_file_of_a_model_is_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert f"{folder / name}: " in refused(lambda: load_transformer(folder))


@pytest.mark.parametrize(
    "config", ["{", "{}", '{"model_type": "nonsense"}', '{"model_type": "t5"}', '{"model_type": "vit"}']
)
def test_a_config_that_is_no_causal_language_model(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    assert str(folder) in refused(lambda: load_transformer(folder))


def test_paths_that_do_not_exist(tmp_path: Path) -> None:
    for source in (tmp_path / "absent", "./not/a/folder", "nobody/no-such-model", "nosuchmodel"):
        assert str(source) in refused(lambda source=source: load_transformer(source))
        assert str(source) in refused(lambda source=source: load_tokenizer(source))


def test_a_hub_id_offline_says_what_to_do() -> None:
    for load in (load_transformer, load_tokenizer):
        said = refused(lambda load=load: load("nobody/no-such-model"))
        assert "hf download nobody/no-such-model" in said
        assert "HF_HUB_OFFLINE=1" in said


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    said = refused(lambda: load_tokenizer(folder))
    assert str(folder) in said
    assert "no tokenizer" in said


def test_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": ')
    assert str(folder) in refused(lambda: load_tokenizer(folder))


def test_a_tokenizer_without_eos(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if not key.endswith("_token")}))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    said = refused(lambda: load_tokenizer(folder))
    assert str(folder) in said
    assert "end-of-sequence" in said


def test_the_original_gpt2_vocabulary_files(material: Path) -> None:
    """vocab.json and merges.txt alone, as config/own-files.yaml names them."""
    tokenizer = load_tokenizer(material / "tokenizers" / "gpt2")
    assert tokenizer("Hello world", add_special_tokens=False)["input_ids"] == [15496, 995]
    assert tokenizer.eos_token_id == 50256


def cached(home: Path, name: str, folder: Path) -> Path:
    """``folder`` in the layout of a Hub cache, as ``hf download`` leaves it."""
    revision = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    return Path(shutil.copytree(folder, repository / "snapshots" / revision))


def offline(home: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from rewire.pretrained import *\n{code}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_hub_ids_load_from_the_cache(tmp_path: Path, folder: Path) -> None:
    cached(tmp_path, "gpt2", folder)
    done = offline(
        tmp_path,
        "import torch\n"
        "print(load_transformer('gpt2')(torch.arange(3)[None]).logits.sum().item())\n"
        "print(len(load_tokenizer('gpt2')), context_of('gpt2'))",
    )
    assert done.returncode == 0, done.stderr
    total, sizes = done.stdout.splitlines()
    expected = load_transformer(folder)(torch.arange(3)[None]).logits.sum().item()
    assert float(total) == pytest.approx(expected, rel=1e-4)
    assert sizes == f"400 {CONTEXT}"


def test_a_cached_hub_model_with_a_pickle_only_says_so(tmp_path: Path, folder: Path) -> None:
    pickled(folder)
    cached(tmp_path, "someone/pickled", folder)
    done = offline(
        tmp_path,
        "from rewire.errors import InputError\n"
        "try:\n    load_transformer('someone/pickled')\nexcept InputError as error:\n    print(error)",
    )
    assert done.returncode == 0, done.stderr
    assert "someone/pickled" in done.stdout
    assert (
        "safetensors" in done.stdout
    )  # it is in the cache: that the Hub cannot be reached is beside the point


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


def test_the_fused_activation_is_the_same_function(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=16, vocab_size=20)
    plain = GPT2LMHeadModel(config).double().eval()
    plain.save_pretrained(tmp_path)
    fused = load_transformer(tmp_path, dtype=torch.float64)
    assert type(fused.transformer.h[0].mlp.act) is not type(plain.transformer.h[0].mlp.act)
    tokens = torch.arange(16)[None]
    with torch.no_grad():
        assert torch.allclose(fused(tokens).logits, plain(tokens).logits, rtol=0, atol=1e-12)
    fused.save_pretrained(tmp_path / "again")
    assert '"activation_function": "gelu_new"' in (tmp_path / "again" / "config.json").read_text()


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
    tmp_path: Path, folder: Path, load: str
) -> None:
    """Under its own name, or on a base model: a pickle beside its config is no reason to unpickle it."""
    from safetensors.torch import load_file

    adapter = tmp_path / "adapter"
    lora(folder, adapter, Path("me/base"))
    cached(tmp_path, "me/base", folder)
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


def test_code_that_comes_with_a_model_is_neither_run_nor_asked_about(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch
) -> None:
    """A model whose config names code of its own: transformers would ask at the terminal whether to run it."""
    folder = tmp_path / "own-code"
    shutil.copytree(tiny_model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "nobodys",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody is asked"))
    for load in (load_transformer, load_config):
        assert str(folder) in refused(lambda load=load: load(folder))
    assert not (tmp_path / "ran").exists()


def test_a_path_with_an_unset_variable_is_named(monkeypatch):
    monkeypatch.delenv("REWIRE_NOWHERE", raising=False)
    with pytest.raises(InputError, match=r"\$REWIRE_NOWHERE/model: the environment variable"):
        load_transformer("$REWIRE_NOWHERE/model")


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
