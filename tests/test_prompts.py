"""The prompt's layout, its cut, and the sentence spans, for any text and two tokenizers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import tiny_tokenizer

from rewire import prompts
from rewire.errors import InputError

ODD_TEXTS = [
    "Plain. Two sentences.",
    "Emoji 🎉👩‍👩‍👧‍👦 in a row 🎉🎉. And a flag 🇫🇷.",
    "مرحبا بالعالم. هذه جملة ثانية.",
    "שלום עולם. עוד משפט.",
    "tab\tand\x00nul\x07bell\x1b[31m. Next\x0b\x0cone.",
    "Windows.\r\n\r\nLine ends.\rOld Mac. \u2028Line separator\u2029. End",
    "e\u0301 combining \u200d\u200b zero width \ufeff mark. 漢字。次の文。",
    "   \n\n  Leading blanks. \n Trailing   ",
    "No end",
    "…",
    "\U0010ffff\ufffd.",
]
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
sentence = st.sampled_from(
    ["Storm hits Selby. ", "Dr. Ann left at 3.5 p.m. ", "No! ", "🎉 is 22.\n", "Why?\n\n"]
)
texts = (st.lists(sentence | characters, min_size=1, max_size=12).map("".join)).filter(lambda t: t.strip())


@pytest.fixture(scope="module")
def trained() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def gpt2(material: Path) -> Any:
    from transformers import GPT2TokenizerFast

    folder = material / "tokenizers" / "gpt2"
    return GPT2TokenizerFast(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))


@pytest.fixture(params=["trained", "gpt2"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def check(prompt: prompts.Prompt, tokenizer: Any, article: str, summary: str, context: int) -> None:
    """All that holds for every prompt."""
    whole = tokenizer(article.strip(), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert len(prompt.tokens) <= context
    assert prompt.article == whole[: len(prompt.article)]
    assert prompt.article
    assert tokenizer.decode(prompt.separator) == "\nTL;DR:"
    assert tokenizer.decode(prompt.summary[:-1]) == " " + summary.strip()
    assert prompt.summary[-1] == tokenizer.eos_token_id
    assert prompt.tokens[prompt.target_start :] == prompt.summary
    assert prompt.tokens[: prompt.target_start] == prompt.question
    edges = [edge for span in prompt.sentences for edge in span]
    assert edges[0] == 0
    assert edges[-1] == len(prompt.article)
    assert edges[1:-1:2] == edges[2::2]
    assert all(start < end for start, end in prompt.sentences)
    if len(prompt.article) < len(whole):
        room = context - len(prompt.separator) - len(prompt.summary)
        _, spans = prompts.tokenize_sentences(tokenizer, article.strip(), "en")
        fitting = [end for _, end in spans if end <= room]
        assert len(prompt.article) == (fitting[-1] if fitting else room)


def test_layout(tokenizer: Any) -> None:
    article, summary = "A storm hit Selby. It destroyed 24 homes.", "A storm destroyed 24 homes in Selby."
    prompt = prompts.build(tokenizer, "r", article, summary, 200)
    assert tokenizer.decode(prompt.tokens) == f"{article}\nTL;DR: {summary}{tokenizer.eos_token}"
    assert [tokenizer.decode(prompt.article[a:b]).strip() for a, b in prompt.sentences] == [
        "A storm hit Selby.",
        "It destroyed 24 homes.",
    ]


def test_gpt2_counts(gpt2: Any) -> None:
    prompt = prompts.build(gpt2, "r", "Hello world.", "Hi.", 1024)
    assert prompt.article == [15496, 995, 13]
    assert prompt.separator == [198, 14990, 26, 7707, 25]
    assert prompt.summary == [15902, 13, 50256]
    assert prompt.target_start == 8


@pytest.mark.parametrize("article", ODD_TEXTS)
@pytest.mark.parametrize("context", [24, 40, 1024])
def test_odd_texts(tokenizer: Any, article: str, context: int) -> None:
    check(prompts.build(tokenizer, "r", article, "Two 2.", context), tokenizer, article, "Two 2.", context)


@fuzz
@given(article=texts, summary=texts, context=st.integers(8, 300))
def test_any_text_fits_and_only_the_article_is_cut(
    trained: Any, article: str, summary: str, context: int
) -> None:
    try:
        prompt = prompts.build(trained, "r-17", article, summary, context)
    except InputError as error:
        assert "row r-17" in str(error)
        written = trained(" " + summary.strip(), add_special_tokens=False)["input_ids"]
        assert len(written) + 1 + len(trained("\nTL;DR:")["input_ids"]) + 1 > context
    else:
        check(prompt, trained, article, summary, context)


@fuzz
@given(article=texts, context=st.integers(12, 120))
def test_any_text_with_gpt2(gpt2: Any, article: str, context: int) -> None:
    check(prompts.build(gpt2, "r", article, "A dog.", context), gpt2, article, "A dog.", context)


def test_every_sentence_fits_or_is_dropped_whole(trained: Any) -> None:
    sentences = [f"The trader number {n} of the bank left Selby." for n in range(30)]
    for context in range(60, 200, 7):
        prompt = prompts.build(trained, "r", " ".join(sentences), "A bank.", context)
        text = trained.decode(prompt.article).strip()
        assert text == " ".join(sentences[: len(prompt.sentences)])
        assert len(prompt.sentences) >= 1


def test_a_first_sentence_longer_than_the_context_is_cut_inside(trained: Any) -> None:
    prompt = prompts.build(trained, "r", "word " * 500 + "end. Next one.", "A bank.", 100)
    assert len(prompt.tokens) == 100
    assert prompt.sentences == [(0, len(prompt.article))]


@pytest.mark.parametrize("text", ["x" * 100_000, "word " * 20_000, "🎉" * 25_000, "\x00" * 100_000])
def test_one_line_of_100_kilobytes(tokenizer: Any, text: str) -> None:
    prompt = prompts.build(tokenizer, "r", text, "A dog.", 512)
    check(prompt, tokenizer, text, "A dog.", 512)
    assert len(prompt.tokens) == 512


def test_a_summary_that_leaves_no_room_names_the_row(trained: Any) -> None:
    summary = "Selby " * 200
    length = len(trained(" " + summary.strip())["input_ids"]) + 1
    separator = len(trained("\nTL;DR:")["input_ids"])
    with pytest.raises(InputError, match=f"row row-7: a summary of {length} tokens .* {length} tokens"):
        prompts.build(trained, "row-7", "An article.", summary, length)
    with pytest.raises(InputError):
        prompts.build(trained, "row-7", "An article.", summary, length + separator)
    fitted = prompts.build(trained, "row-7", "An article.", summary, length + separator + 1)
    assert len(fitted.article) == 1
    assert len(fitted.summary) == length


def test_the_text_of_a_special_token_is_text(tokenizer: Any) -> None:
    eos = tokenizer.eos_token
    prompt = prompts.build(tokenizer, "r", f"He typed {eos} twice.", f"He typed {eos}.", 200)
    assert prompt.tokens.count(tokenizer.eos_token_id) == 1
    assert prompt.tokens[-1] == tokenizer.eos_token_id
