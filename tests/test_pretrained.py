"""What a model or tokenizer folder lacks is said in one line; Hub ids work offline; adapters are merged."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from model_folders import cached, offline, refused
from tiny_models import CONTEXT

from rewire.errors import InputError
from rewire.pretrained import (
    context_length,
    context_of,
    expand,
    load_config,
    load_tokenizer,
    load_transformer,
)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "spoiled"))


def pickled(folder: Path) -> None:
    """The weights as a pickle only."""
    weights = load_transformer(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


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
