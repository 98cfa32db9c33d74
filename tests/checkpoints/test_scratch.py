"""A base model from nothing: the tokenizer, the packing, the architecture, the run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import articles_table, newswire_rows, tiny_tokenizer, training_settings

from rewire.checkpoints import scratch
from rewire.checkpoints.scratch import build_model, pack, pretrain, train_tokenizer
from rewire.errors import InputError
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table

ARCHITECTURE = {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32}
TEXTS = [row["article"] for row in newswire_rows(30)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def entry(**architecture: Any) -> dict[str, Any]:
    return {
        "source": "scratch",
        "architecture": ARCHITECTURE | architecture,
        "tokenizer": {"vocabulary": 300},
        "pretraining": training_settings(),
    }


def run(model_entry: dict[str, Any], data: Path, out: Path) -> None:
    files = (data / "train.parquet", data / "validation.parquet")
    pretrain(model_entry, *files, out / "base", out / "pretraining.parquet", out / "work")


def test_the_tokenizer_is_deterministic_and_of_the_asked_size() -> None:
    first, second = train_tokenizer(TEXTS, 300), train_tokenizer(iter(TEXTS), 300)
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
    assert len(first) == 300
    assert first.eos_token_id == 0
    assert len(train_tokenizer(["a"], 10_000)) < 300


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: "<|" not in t))
def test_any_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.eos_token_id not in ids


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.sampled_from([*TEXTS[:4], "", "a", "🎉"]), max_size=6), context=st.integers(1, 40))
def test_pack_starts_blocks_at_articles_and_drops_what_is_not_full(
    tokenizer: Any, texts: list[str], context: int
) -> None:
    stream: list[int] = []
    starts: list[int] = []
    for text in texts:
        tokens = [*tokenizer(text, add_special_tokens=False)["input_ids"], 0]
        starts += [len(stream) + offset for offset in range(0, len(tokens), context)]
        stream += tokens
    blocks = pack(texts, tokenizer, context)
    full = [start for start in starts if start + context <= len(stream)]
    assert [block.tokens for block in blocks] == [stream[start : start + context] for start in full]
    assert all(block.labels == block.tokens for block in blocks)


def test_packed_text_holds_one_eos_an_article(tokenizer: Any) -> None:
    block = pack(["One <|endoftext|> article."] * 3, tokenizer, 12)[0]
    assert tokenizer.decode(block.tokens).startswith("One <|")
    assert tokenizer.eos_token_id not in block.tokens


def test_build_model_takes_the_tokenizer_s_vocabulary(tokenizer: Any) -> None:
    model = build_model(ARCHITECTURE, tokenizer)
    assert model.config.vocab_size == len(tokenizer)
    assert (model.config.n_layer, model.config.eos_token_id) == (2, 0)
    assert model(torch.zeros(1, 32, dtype=torch.long)).logits.shape == (1, 32, len(tokenizer))
    assert ARCHITECTURE["model_type"] == "gpt2"  # left as it was


@pytest.mark.parametrize("kind", ["nonsense", "t5", "vit"])
def test_an_architecture_that_is_no_causal_language_model_is_named(tokenizer: Any, kind: str) -> None:
    with pytest.raises(InputError, match=repr(kind)) as error:
        build_model({"model_type": kind}, tokenizer)
    assert len(str(error.value).splitlines()) == 1


def test_sizes_that_do_not_fit_each_other_are_one_line(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="gpt2") as error:
        build_model(ARCHITECTURE | {"n_head": 3}, tokenizer)
    assert len(str(error.value).splitlines()) == 1


def test_pretraining_writes_a_model_and_its_table(data: Path, tmp_path: Path) -> None:
    run(entry(), data, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "pretraining.parquet"]
    assert context_length(load_transformer(tmp_path / "base")) == 32
    assert len(load_tokenizer(tmp_path / "base")) == 300
    rows = read_table(tmp_path / "pretraining.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(7))
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]


def test_summaries_are_never_seen(data: Path, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        rows = read_table(data / f"{split}.parquet").to_pylist()
        articles_table(tmp_path / f"{split}.parquet", [row | {"summary": "Another one."} for row in rows])
    run(entry(), data, tmp_path / "a")
    run(entry(), tmp_path, tmp_path / "b")
    assert (tmp_path / "a/base/model.safetensors").read_bytes() == (
        tmp_path / "b/base/model.safetensors"
    ).read_bytes()


def test_killed_then_resumed_ends_in_the_same_bytes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(entry(), data, tmp_path / "whole")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scratch, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        run(entry(), data, tmp_path / "killed")
    assert not (tmp_path / "killed/base").exists()
    assert (tmp_path / "killed/work").exists()
    monkeypatch.undo()
    run(entry(), data, tmp_path / "killed")
    for name in ("base/model.safetensors", "base/tokenizer.json", "pretraining.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_another_architecture_drops_the_unfinished_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scratch, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        run(entry(), data, tmp_path)
    monkeypatch.undo()
    run(entry(n_embd=24), data, tmp_path)
    run(entry(n_embd=24), data, tmp_path / "fresh")
    assert (tmp_path / "base/model.safetensors").read_bytes() == (
        tmp_path / "fresh/base/model.safetensors"
    ).read_bytes()


def test_too_few_articles_for_one_block_are_named(data: Path, tmp_path: Path) -> None:
    articles_table(tmp_path / "train.parquet", [{"id": "a", "article": "Short.", "summary": "S."}])
    articles_table(tmp_path / "validation.parquet", newswire_rows(2))
    with pytest.raises(InputError, match=r"train\.parquet.* 32 tokens"):
        run(entry(), tmp_path, tmp_path / "out")
