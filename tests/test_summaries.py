"""Facts and ROUGE by hand; generation in batches equals generation one by one; where it stops."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import articles_table, newswire_rows, tiny_model

from rewire import summaries
from rewire.errors import InputError
from rewire.pretrained import load_tokenizer, load_transformer
from rewire.summaries import (
    OF_SEEDS,
    SCHEMA,
    facts,
    generate,
    measure,
    write_seeds_summaries,
    write_summaries,
)
from rewire.tables import read_table

SETTINGS = {"examples": 6, "batch_size": 4, "max_new_tokens": 12, "beams": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("A storm hit Selby.", ["Selby"]),
        ("Selby was hit.", []),  # a capital at the start of a sentence tells nothing
        ("Selby was hit. Doctors left Selby.", ["Selby", "Selby"]),
        ("He paid 1,250.50 for 3 of 22.", ["1,250.50", "3", "22"]),
        ("In 1999, Ann Lee left.", ["1999", "Ann", "Lee"]),
        ('He said: "Go to Rome now."', ["Rome"]),
        ("no names at all", []),
        ("A visit to O'Neill and Jean-Luc", ["O'Neill", "Jean-Luc"]),
        ("The 5 dogs saw Éva", ["5", "Éva"]),
        ("One.\nTwo three.", []),
        ("🎉 \x00 ...", []),
    ],
)
def test_facts(text: str, expected: list[str]) -> None:
    assert facts(text) == expected


def test_measure_by_hand() -> None:
    found = measure("the cat sat in Rome", "the cat lay in Rome in 1999")
    # unigrams: the cat in Rome = 4 of 5 and of 7; bigrams: the-cat, in-Rome = 2 of 4 and of 6; LCS the cat in Rome
    assert found["rouge1"] == pytest.approx(100 * 2 * 4 / 12)
    assert found["rouge2"] == pytest.approx(100 * 2 * 2 / 10)
    assert found["rougeL"] == pytest.approx(100 * 2 * 4 / 12)
    assert (found["facts_generated"], found["facts_reference"], found["facts_right"]) == (1, 2, 1)


def test_identical_and_empty_summaries() -> None:
    text = "A storm hit Selby. It left 24 homes in Selby."
    same = measure(text, text)
    assert all(same[name] == pytest.approx(100) for name in summaries.ROUGE)
    assert same["facts_right"] == same["facts_generated"] == same["facts_reference"] == 3
    empty = measure("", text)
    assert all(empty[name] == 0 for name in summaries.ROUGE)
    assert (empty["facts_generated"], empty["facts_right"]) == (0, 0)


def test_a_fact_said_twice_counts_once_if_the_reference_says_it_once() -> None:
    found = measure("in Rome and in Rome and in Rome", "we met in Rome")
    assert (found["facts_generated"], found["facts_right"]) == (3, 1)


def test_rouge_lsum_reads_sentences_in_any_order() -> None:
    found = measure("Dogs bark loudly. Cats sleep late.", "Cats sleep late. Dogs bark loudly.")
    assert found["rougeLsum"] == pytest.approx(100)
    assert found["rougeL"] < 100


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> tuple[Any, Any]:
    return load_transformer(tiny_model_folder), load_tokenizer(tiny_model_folder)


def one_by_one(model: Any, tokenizer: Any, question: list[int], limit: int) -> str:
    """Greedy decoding without a cache, a batch or padding."""
    tokens = list(question)
    for _ in range(limit):
        with torch.no_grad():
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        if tokens[-1] == tokenizer.eos_token_id:
            break
    return tokenizer.decode(tokens[len(question) :], skip_special_tokens=True).strip()


def test_batches_equal_one_at_a_time(model: tuple[Any, Any]) -> None:
    transformer, tokenizer = model
    texts = [
        "A storm hit Selby.\nTL;DR:",
        "x",
        "The bank of Preston opens on Monday, and " * 2,
        "Why? 22",
        "🎉",
    ]
    questions = [tokenizer(text)["input_ids"] for text in texts]
    expected = [one_by_one(transformer, tokenizer, question, 15) for question in questions]
    assert len(set(expected)) > 1
    for size in (1, 2, 5, 50):
        assert generate(transformer, tokenizer, questions, size, 15) == expected
    assert generate(transformer, tokenizer, [], 4, 15) == []


def test_beams_find_the_most_likely_continuation(model: tuple[Any, Any]) -> None:
    """As many beams as there are tokens leave no pair of tokens untried; batches change nothing."""
    transformer, tokenizer = model
    questions = [tokenizer(text)["input_ids"] for text in ("A storm hit Selby.", "The bank of Preston", "x")]
    words, expected = len(tokenizer), []
    for question in questions:
        with torch.no_grad():
            first = transformer(torch.tensor([question])).logits[0, -1].log_softmax(-1)
            longer = torch.tensor([[*question, token] for token in range(words)])
            second = transformer(longer).logits[:, -1].log_softmax(-1)
        both = (first[:, None] + second).flatten()  # [V * V]
        best = divmod(int(both.argmax()), words)
        assert tokenizer.eos_token_id not in best
        expected.append(tokenizer.decode(best, skip_special_tokens=True).strip())
    for size in (1, 3):
        assert generate(transformer, tokenizer, questions, size, 2, beams=words) == expected
    one = generate(transformer, tokenizer, questions, 3, 12, beams=1)
    assert one == generate(transformer, tokenizer, questions, 3, 12)
    alone = [generate(transformer, tokenizer, [question], 1, 12, beams=3)[0] for question in questions]
    assert generate(transformer, tokenizer, questions, 3, 12, beams=3) == alone


def test_eos_stops_one_example_and_not_the_others(model: tuple[Any, Any]) -> None:
    _, tokenizer = model
    eos = tokenizer.eos_token_id
    transformer = tiny_model(tokenizer)
    stop, go = tokenizer("stop")["input_ids"][-1], tokenizer("go")["input_ids"][-1]
    assert stop != go
    with torch.no_grad():  # no blocks, no positions: after `stop` comes eos, after anything else itself
        for block in transformer.transformer.h:
            block.attn.c_proj.weight.zero_()
            block.attn.c_proj.bias.zero_()
            block.mlp.c_proj.weight.zero_()
            block.mlp.c_proj.bias.zero_()
        transformer.transformer.wpe.weight.zero_()
        table = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(0))
        table -= table.mean(1, keepdim=True)
        table /= table.norm(dim=1, keepdim=True)
        transformer.transformer.wte.weight.copy_(table)
        transformer.transformer.wte.weight[eos] = 4 * table[stop]
    texts = generate(transformer, tokenizer, [[stop], [go], [go, stop]], 3, 5)
    assert texts[0] == texts[2] == ""
    assert texts[1] == tokenizer.decode([go] * 5).strip()


def test_write_summaries(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = newswire_rows(8)
    table = articles_table(tmp_path / "test.parquet", rows)
    paths = [tmp_path / f"{n}.parquet" for n in range(2)]
    for path, size in zip(paths, (4, 1), strict=True):
        write_summaries(tiny_model_folder, table, SETTINGS | {"batch_size": size}, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = read_table(paths[0])
    assert found.column_names == SCHEMA.names
    assert [row["id"] for row in found.to_pylist()] == [row["id"] for row in rows[:6]]
    for row, given in zip(found.to_pylist(), rows, strict=False):
        assert row["reference"] == given["summary"]
        assert row["rouge1"] == measure(row["generated"], given["summary"])["rouge1"]


def test_seeds_are_summarized_as_each_alone(tiny_model_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tokenizer = load_tokenizer(tiny_model_folder)
    model = tiny_model(tokenizer)
    with torch.no_grad():
        model.transformer.wte.weight.copy_(model.transformer.wte.weight.flip(0))
    model.save_pretrained(other)  # a whole model takes the place of the base
    tokenizer.save_pretrained(other)
    table = articles_table(tmp_path / "test.parquet", newswire_rows(4))
    alone = []
    for folder in (other, tiny_model_folder):
        write_summaries(folder, table, SETTINGS, tmp_path / "alone.parquet")
        alone.append(read_table(tmp_path / "alone.parquet").to_pylist())
    adapters = {7: other, 3: tiny_model_folder}
    write_seeds_summaries(tiny_model_folder, adapters, table, SETTINGS, tmp_path / "seeds.parquet")
    found = read_table(tmp_path / "seeds.parquet")
    assert found.schema == OF_SEEDS and alone[0] != alone[1]
    expected = [{"seed": seed, **row} for seed, rows in zip((7, 3), alone, strict=True) for row in rows]
    assert found.to_pylist() == expected


def asked(monkeypatch: pytest.MonkeyPatch, base: Path, table: Path, out: Path, limit: int) -> list[list[int]]:
    """The questions that ``write_summaries`` gives the model."""
    seen: list[list[int]] = []

    def record(transformer: Any, tokenizer: Any, questions: list[list[int]], *_: Any) -> list[str]:
        seen.extend(questions)
        return [""] * len(questions)

    monkeypatch.setattr(summaries, "generate", record)
    write_summaries(base, table, SETTINGS | {"max_new_tokens": limit}, out)
    return seen


@pytest.mark.parametrize("limit", [20, 60, 90])
def test_questions_leave_room_and_end_with_a_whole_sentence(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    article = " ".join(f"Trader {n} left." for n in range(40))
    table = articles_table(tmp_path / "t.parquet", [{"id": "a", "article": article, "summary": "He left."}])
    (question,) = asked(monkeypatch, tiny_model_folder, table, tmp_path / "out.parquet", limit)
    tokenizer = load_tokenizer(tiny_model_folder)
    assert len(question) + limit <= 128
    text = tokenizer.decode(question)
    assert text.endswith(("left.\nTL;DR:", "left. \nTL;DR:"))


def test_the_question_does_not_depend_on_the_reference(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = " ".join(f"Trader {n} left." for n in range(40))
    questions = []
    for number, summary in enumerate(["He left.", "He left and came back and left again. " * 2]):
        table = articles_table(
            tmp_path / f"{number}.parquet", [{"id": "a", "article": article, "summary": summary}]
        )
        questions += asked(monkeypatch, tiny_model_folder, table, tmp_path / "out.parquet", 20)
    assert questions[0] == questions[1]


def test_no_room_for_a_summary_is_an_error(tiny_model_folder: Path, tmp_path: Path) -> None:
    table = articles_table(tmp_path / "t.parquet", newswire_rows(2))
    with pytest.raises(InputError, match="max_new_tokens 128"):
        write_summaries(
            tiny_model_folder,
            table,
            SETTINGS | {"max_new_tokens": 128, "beams": 1},
            tmp_path / "out.parquet",
        )
    assert not (tmp_path / "out.parquet").exists()
