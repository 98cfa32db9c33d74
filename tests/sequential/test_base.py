"""What a base from nothing is given: answers of other tasks, and none of those to come."""

from __future__ import annotations

import pytest
from sequential.worlds import ENTRY, section

from rewire.checkpoints.token_mean_trainer import IGNORED
from rewire.errors import InputError
from rewire.pretrained import load_tokenizer, load_transformer
from rewire.sequential.base import answered, pretrain_base, unanswered
from rewire.sequential.tasks.reading import Reader
from rewire.tables import read_table


@pytest.fixture(scope="module")
def reader(tiny_base):
    return Reader(load_tokenizer(tiny_base), str(tiny_base), drop=False)


def text(reader, tokens):
    return " ".join(reader.tokenizer.convert_ids_to_tokens(tokens))


def test_a_word_is_a_token(tiny_base):
    tokenizer = load_tokenizer(tiny_base)
    assert tokenizer.tokenize("Find 3 + 9 = 12") == ["Find", "3", "+", "9", "=", "12"]
    assert tokenizer.tokenize("Find max 3 9 =")[1] == "max"
    assert load_transformer(tiny_base).config.vocab_size == len(tokenizer)


def test_other_tasks_are_learned_by_their_answers(reader):
    settings = section()
    train, validation = (answered(["average"], split, reader, settings) for split in ("train", "validation"))
    assert not {tuple(e.tokens) for e in train} & {tuple(e.tokens) for e in validation}
    for example in train:
        words = text(reader, example.tokens).split()
        a, b = (int(word) for word in words[:-1] if word.isdigit())
        assert int(words[-1]) == (a + b) // 2
        assert example.labels == [IGNORED] * (len(words) - 1) + example.tokens[-1:]


def test_tasks_to_come_are_read_without_their_answers(reader):
    examples = unanswered(["add", "max"], reader, section())
    assert len(examples) == 10
    for example in examples:
        assert text(reader, example.tokens).endswith("=") and example.labels == example.tokens
    held_out = {
        tuple(e.tokens[:-1])
        for split in ("validation", "test")
        for e in answered(["add", "max"], split, reader, section())
    }
    assert not held_out & {tuple(e.tokens) for e in examples}


def test_the_training_table_has_validations(tiny_base):
    table = read_table(tiny_base.parent / "table.parquet").to_pylist()
    assert [row["step"] for row in table if row["validation_loss"] is not None][-1] == 4


def test_an_unknown_task_is_refused(tmp_path):
    settings = section(base={"tasks": ["averages"], "prompts": 0})
    with pytest.raises(InputError, match=r"'averages' is not one of .*average"):
        pretrain_base(ENTRY, ["add"], settings, tmp_path / "base", tmp_path / "t", tmp_path / "w")


def test_numbers_that_an_existing_tokenizer_splits_are_refused(tiny_model_folder, tmp_path):
    """A byte-level BPE of newswire has no token for most numbers."""
    entry = ENTRY | {"tokenizer": {"path": str(tiny_model_folder)}}
    with pytest.raises(InputError, match=r"task 'average': the number \d+ is \d tokens"):
        pretrain_base(
            entry,
            ["add"],
            section(numbers={"largest": 99}),
            tmp_path / "base",
            tmp_path / "t",
            tmp_path / "w",
        )
    assert not (tmp_path / "base").exists()
