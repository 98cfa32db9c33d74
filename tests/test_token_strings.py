"""Pairs from strings: what the tokens are, and what each mistake says."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from rewire.errors import InputError
from rewire.pairs import TokenPairs
from rewire.prompts import encode
from rewire.token_strings import single_tokens

WORDS = ["Ann", "Bob", "saw", "met", "the", "cat", "dog", "."]
VOCABULARY = {word: i for i, word in enumerate(["<s>", "</s>", "<unk>", *WORDS])}


def word_tokenizer(template: str | None = None) -> Any:
    """One token a word; ``template``: the special tokens that it puts around a text by itself."""
    made = Tokenizer(WordLevel(VOCABULARY, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if template:
        specials = [(word, VOCABULARY[word]) for word in ("<s>", "</s>")]
        made.post_processor = TemplateProcessing(single=template, special_tokens=specials)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


PLAIN, BOS = word_tokenizer(), word_tokenizer("<s> $A </s>")
sentences = st.lists(st.sampled_from(WORDS), min_size=2, max_size=9)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(sentences, min_size=1, max_size=5), data=st.data())
def test_strings_are_their_tokens(texts: list[list[str]], data: st.DataObject) -> None:
    """The same pairs as from tensors that a person encodes, pads and measures by hand."""
    others = [data.draw(st.lists(st.sampled_from(WORDS), min_size=len(t), max_size=len(t))) for t in texts]
    wrong = [data.draw(st.sampled_from(WORDS)) for _ in texts]
    sides = [[" ".join(words) for words in side] for side in (texts, others)]
    for tokenizer, start in ((PLAIN, []), (BOS, [VOCABULARY["<s>"]])):
        made = TokenPairs(*sides, tokenizer=tokenizer, wrong_token=wrong)
        for side, tokens in zip(sides, (made.clean, made.corrupted), strict=True):
            for row, text in enumerate(side):
                expected = start + encode(tokenizer, text)
                assert tokens[row].tolist() == expected + [0] * (tokens.shape[1] - len(expected))
        assert made.lengths.tolist() == [len(start) + len(words) for words in texts]
        assert made.wrong_token.tolist() == [VOCABULARY[word] for word in wrong]
        assert made.target_tokens.tolist() == [1] * len(texts)


@settings(max_examples=50, deadline=None)
@given(one=sentences, other=sentences, before=st.integers(0, 3))
def test_unequal_token_counts_print_both_tokenisations(one: list[str], other: list[str], before: int) -> None:
    clean, corrupted = [["the cat"] * before + [" ".join(words)] for words in (one, other)]
    if len(one) == len(other):
        assert len(TokenPairs(clean, corrupted, tokenizer=BOS)) == before + 1
        return
    with pytest.raises(InputError) as error:
        TokenPairs(clean, corrupted, tokenizer=BOS)
    assert str(error.value) == (
        f"pairs: example {before}: {len(one)} clean tokens {one}, {len(other)} corrupted tokens {other}"
    )


def test_the_gpt2_tokenizer(material: Any) -> None:
    from rewire.pretrained import load_tokenizer

    tokenizer = load_tokenizer(material / "tokenizers" / "gpt2")
    clean = "We're helping our friend while they"
    pairs = TokenPairs([clean], [clean.replace("'re", " are")], tokenizer=tokenizer, wrong_token=[" are"])
    assert pairs.clean.tolist() == [[1135, 821, 5742, 674, 1545, 981, 484]]
    assert pairs.corrupted.tolist() == [[1135, 389, 5742, 674, 1545, 981, 484]]
    assert pairs.wrong_token.tolist() == [389]
    with pytest.raises(InputError, match=r"2 clean tokens \['a', 'Ċ'\], 3 corrupted") as error:
        TokenPairs(["a\n"], ["a\nb"], tokenizer=tokenizer)
    assert "\n" not in str(error.value)


def test_a_special_tokens_name_is_text() -> None:
    """As in the prompts that models are trained on."""
    pairs = TokenPairs(["the </s>"], ["the cat . ."], tokenizer=PLAIN)
    assert VOCABULARY["</s>"] not in pairs.clean


@pytest.mark.parametrize(
    ("clean", "corrupted", "options", "said"),
    [
        (["the cat"], ["the dog"], {"tokenizer": None}, "clean is a list of strings, which needs tokenizer="),
        ("the cat", "the dog", {}, "clean is a str, expected a tensor or a list of strings"),
        (["the cat"], None, {}, "corrupted is a NoneType"),
        (["the cat"], torch.ones(1, 2).long(), {}, "clean is a list and corrupted a Tensor"),
        (["the cat", "a"], ["the dog"], {}, "2 clean texts and 1 corrupted ones"),
        ([], [], {}, "no texts"),
        (["the cat", "a cat"], ["the dog", ""], {}, "example 1: the corrupted text '' has no tokens"),
        (["the cat", 3], ["the dog", "a"], {}, "example 1: clean is a int, expected a string"),
        (["the"], ["cat"], {}, "example 0 has 1 target tokens in 1 of 1"),
        (["the cat"], ["the dog"], {"lengths": torch.tensor([2])}, "lengths are given"),
        (["the cat"], ["the dog"], {"target_tokens": 2}, "example 0 has 2 target tokens in 2 of 2"),
        (["the cat"], ["the dog"], {"wrong_token": "dog"}, "wrong_token is a str"),
        (
            ["the cat"],
            ["the dog"],
            {"wrong_token": ["dog", "cat"]},
            r"wrong_token has shape \[2\], expected \[1\]",
        ),
        (["the cat"], ["the dog"], {"wrong_token": [""]}, "example 0: wrong_token '' has no tokens"),
        (
            ["the cat"] * 2,
            ["the dog"] * 2,
            {"wrong_token": ["dog", "the dog"]},
            r"example 1: wrong_token 'the dog' is 2 tokens \['the', 'dog'\], expected one",
        ),
        (
            ["the cat"],
            ["the dog"],
            {"wrong_token": torch.tensor([11])},
            "example 0: wrong_token 11 is no token id of the tokenizer's 11",
        ),
    ],
)
def test_every_mistake_is_one_line(clean: Any, corrupted: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        TokenPairs(clean, corrupted, **{"tokenizer": PLAIN, **options})
    assert "\n" not in str(error.value)


def test_token_tensors_are_checked_against_a_given_tokenizer() -> None:
    tokens = torch.tensor([[3, 4, 99], [3, 4, 5]])
    lengths = torch.tensor([2, 3])  # 99 is padding
    pairs = TokenPairs(tokens, tokens, lengths, wrong_token=["cat", "dog"], tokenizer=PLAIN)
    assert pairs.wrong_token.tolist() == [VOCABULARY["cat"], VOCABULARY["dog"]]
    with pytest.raises(
        InputError, match="example 0: clean 99 at position 2 is no token id of the tokenizer's 11"
    ):
        TokenPairs(tokens, tokens, tokenizer=PLAIN)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "the cat", "", "zebra"]), max_size=6))
def test_single_tokens_are_ids_or_the_first_that_is_not_one_is_named(words: list[str]) -> None:
    bad = [i for i, word in enumerate(words) if len(word.split()) != 1]
    if not bad:
        unknown = VOCABULARY["<unk>"]
        assert single_tokens(PLAIN, "wrong_token", words).tolist() == [
            VOCABULARY.get(w, unknown) for w in words
        ]
        return
    with pytest.raises(InputError, match=re.escape(f"example {bad[0]}: wrong_token {words[bad[0]]!r}")):
        single_tokens(PLAIN, "wrong_token", words)
