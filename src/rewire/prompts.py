"""The prompt ``{article}\\nTL;DR: {summary}{eos}`` as tokens. Definitions: docs/definitions.md, "Prompt"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sentencex

from rewire.errors import InputError

SEPARATOR = "\nTL;DR:"

Span = tuple[int, int]  # first and one past the last token


@dataclass(frozen=True)
class Prompt:
    """Token ids of one example. ``article``: the article's tokens, maybe cut; ``sentences``: their token spans."""

    article: list[int]
    sentences: list[Span]
    separator: list[int]
    summary: list[int]  # ends with eos

    @property
    def question(self) -> list[int]:
        """What comes before the summary."""
        return self.article + self.separator

    @property
    def tokens(self) -> list[int]:
        return self.question + self.summary

    @property
    def target_start(self) -> int:
        """Index of the first summary token in ``tokens``."""
        return len(self.article) + len(self.separator)


def build(
    tokenizer: Any, name: str, article: str, summary: str, context: int, language: str = "en"
) -> Prompt:
    """The prompt of one example, at most ``context`` tokens.

    A long article is cut at the last sentence boundary that fits, within its first sentence if none does; the
    summary and the separator never are. ``name`` (the row's id) is used in errors.
    Errors: InputError if the summary leaves no room for an article token.
    """
    separator, written = encode(tokenizer, SEPARATOR), encode(tokenizer, " " + summary.strip())
    written.append(tokenizer.eos_token_id)
    room = context - len(separator) - len(written)
    if room < 1:
        raise InputError(
            f"row {name}: a summary of {len(written)} tokens does not fit a context of {context} tokens"
        )
    tokens, sentences = fit_article(tokenizer, article, room, language)
    return Prompt(tokens, sentences, separator, written)


def question(tokenizer: Any, article: str, room: int, language: str = "en") -> list[int]:
    """``{article}\nTL;DR:`` as at most ``room`` tokens: what a model is given before it writes a summary."""
    separator = encode(tokenizer, SEPARATOR)
    if room <= len(separator):
        raise InputError(
            f"{room} tokens for the article and the prompt: the prompt alone takes {len(separator)}"
        )
    return fit_article(tokenizer, article, room - len(separator), language)[0] + separator


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of ``text`` alone; a special token's name in the text is text."""
    return list(
        tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    )


def fit_article(tokenizer: Any, article: str, room: int, language: str) -> tuple[list[int], list[Span]]:
    """The article's tokens and sentence spans, cut at the last sentence boundary within ``room`` tokens."""
    tokens, sentences = tokenize_sentences(tokenizer, article.strip(), language)
    if len(tokens) > room:
        room = max((end for _, end in sentences if end <= room), default=room)
        tokens = tokens[:room]
        sentences = [(start, min(end, room)) for start, end in sentences if start < room]
    return tokens, sentences


def tokenize_sentences(tokenizer: Any, text: str, language: str) -> tuple[list[int], list[Span]]:
    """Tokens of ``text`` and the token span of each of its sentences; the spans tile the tokens in order.

    A token belongs to the sentence that holds its last character, so that a leading space counts with its word.
    """
    encoded = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    last = [max(start, end - 1) for start, end in encoded["offset_mapping"]]
    spans: list[Span] = []
    token, character = 0, 0
    for sentence in sentencex.segment(language, text):
        character += len(sentence)
        first = token
        while token < len(last) and last[token] < character:
            token += 1
        if token > first:
            spans.append((first, token))
    return encoded["input_ids"], spans
