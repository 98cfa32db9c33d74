"""What a pair asks for: the summary, or the article's last sentence."""

from pathlib import Path

import pytest
from tiny_models import CONTEXT, articles_table

from rewire import pair_tasks, prompts, salience
from rewire.articles import newswire
from rewire.errors import InputError
from rewire.pair_table import write_pairs
from rewire.pairs import read_pairs
from rewire.pretrained import load_tokenizer
from rewire.tables import read_table

SETTINGS = {
    "examples": 5,
    "salience": {"measures": ["rouge1"], "by": "top", "value": 1},
    "noise_share": 0.3,
    "seed": 0,
}
ROW = {
    "id": "x",
    "article": "Storm hits Selby. Nobody was out. Selby has a storm again.",
    "summary": "A storm in Selby.",
}


@pytest.fixture(scope="module")
def tokenizer(tiny_model_folder: Path):
    return load_tokenizer(tiny_model_folder)


def test_a_summary_is_the_prompt_that_models_are_trained_on(tokenizer) -> None:
    task = pair_tasks.build("summary", tokenizer, ROW, CONTEXT)
    prompt = prompts.build(tokenizer, "x", ROW["article"], ROW["summary"], CONTEXT)
    assert task.completed(task.article) == prompt.tokens and task.target_start == prompt.target_start
    assert task.sentences == prompt.sentences and task.reference == ROW["summary"]


def test_a_continuation_is_the_article_with_its_last_sentence_as_the_answer(tokenizer) -> None:
    task = pair_tasks.build("continuation", tokenizer, ROW, CONTEXT)
    assert tokenizer.decode(task.completed(task.article)) == ROW["article"]
    assert tokenizer.decode(task.article).strip() == "Storm hits Selby. Nobody was out."
    assert task.reference == tokenizer.decode(task.answer)
    assert task.reference.strip() == "Selby has a storm again."
    assert task.target_start == len(task.article) and len(task.sentences) == 2


def test_a_long_article_continues_with_the_last_sentence_that_fits(tokenizer) -> None:
    whole = pair_tasks.build("continuation", tokenizer, ROW, CONTEXT)
    context = len(whole.article) + len(whole.answer) - 1
    task = pair_tasks.build("continuation", tokenizer, ROW, context)
    assert tokenizer.decode(task.completed(task.article)) == "Storm hits Selby. Nobody was out."
    assert task.reference.strip() == "Nobody was out."


def test_one_sentence_has_nothing_to_be_continued_from(tokenizer) -> None:
    task = pair_tasks.build("continuation", tokenizer, ROW | {"article": "Storm hits Selby."}, CONTEXT)
    assert task.article == [] and task.sentences == []


def test_an_unknown_task_is_named(tokenizer) -> None:
    with pytest.raises(InputError, match="'translation' is not one of summary, continuation"):
        pair_tasks.build("translation", tokenizer, ROW, CONTEXT)


def test_the_sentence_nearest_to_the_last_is_masked(
    tokenizer, tiny_model_folder: Path, tmp_path: Path
) -> None:
    articles = articles_table(
        tmp_path / "a.parquet", [row | {"summary": "Selby."} for row in newswire.generate(12, 0, "train")]
    )
    path = tmp_path / "continuation.parquet"
    write_pairs(articles, tiny_model_folder, "mask", SETTINGS, path, task="continuation")
    rows = read_table(path).to_pylist()
    assert len(rows) == SETTINGS["examples"]
    for row in rows:
        start = row["target_start"]
        answer = tokenizer.decode(row["clean"][start:])
        texts = [tokenizer.decode(row["clean"][a:b]) for a, b in row["sentence_spans"]]
        assert row["sentence_scores"] == salience.score_sentences(texts, answer, ["rouge1"])
        best = row["sentence_scores"].index(max(row["sentence_scores"]))
        assert row["masked_spans"] == [row["sentence_spans"][best]]
        (first, end), eos = row["masked_spans"][0], tokenizer.eos_token_id
        assert row["corrupted"] == row["clean"][:first] + [eos] * (end - first) + row["clean"][end:]
        assert end <= start, "the answer is never corrupted"
    _, pairs = read_pairs(path)
    assert pairs.target_tokens.tolist() == [len(row["clean"]) - row["target_start"] for row in rows]
