"""Texts as tokens: the pairs and answers that a person writes as strings.

A text is encoded as ``rewire.prompts`` does (alone, a special token's name is text), after the bos token if the
tokenizer puts one before every text by itself: Llama's does, those of GPT-2, Pythia and Qwen do not. Nothing is put
after a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rewire.errors import InputError
from rewire.prompts import encode


def encode_pairs(
    tokenizer: Any, clean: Sequence[str], corrupted: Sequence[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """Clean and corrupted tokens, int64 [N, T] each, right-padded with 0, and their lengths, int64 [N].

    Errors: InputError that names the example: a text without tokens, a pair of unequal token counts (with both
    tokenisations), not as many clean as corrupted texts, no tokenizer.
    """
    sides = {"clean": clean, "corrupted": corrupted}
    for name, texts in sides.items():
        check_texts(name, texts, tokenizer)
    if len(clean) != len(corrupted):
        raise InputError(f"pairs: {len(clean)} clean texts and {len(corrupted)} corrupted ones")
    if not clean:
        raise InputError("pairs: no texts")
    rows = {
        name: [encode_text(tokenizer, f"example {i}: the {name} text", text) for i, text in enumerate(texts)]
        for name, texts in sides.items()
    }
    for i, (one, other) in enumerate(zip(rows["clean"], rows["corrupted"], strict=True)):
        if len(one) != len(other):
            raise InputError(
                f"pairs: example {i}: {len(one)} clean tokens {pieces(tokenizer, one)}, "
                f"{len(other)} corrupted tokens {pieces(tokenizer, other)}"
            )
    start = beginning(tokenizer)
    padded = [
        pad_sequence([torch.tensor(start + row) for row in side], batch_first=True) for side in rows.values()
    ]
    lengths = torch.tensor([len(start) + len(row) for row in rows["clean"]])
    return padded[0], padded[1], lengths


def single_tokens(tokenizer: Any, name: str, words: Sequence[str]) -> Tensor:
    """int64 [N]: the id of each word. Errors: InputError that names the example of a word that is not one token."""
    check_texts(name, words, tokenizer)
    ids = []
    for i, word in enumerate(words):
        tokens = encode_text(tokenizer, f"example {i}: {name}", word)
        if len(tokens) != 1:
            raise InputError(
                f"pairs: example {i}: {name} {word!r} is {len(tokens)} tokens {pieces(tokenizer, tokens)}, expected one"
            )
        ids += tokens
    return torch.tensor(ids, dtype=torch.long)


def check_texts(name: str, texts: Any, tokenizer: Any) -> None:
    """InputError unless ``texts`` is a list of strings and there is a tokenizer for them."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise InputError(f"pairs: {name} is a {type(texts).__name__}, expected a tensor or a list of strings")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"pairs: example {i}: {name} is a {type(text).__name__}, expected a string")
    if tokenizer is None:
        raise InputError(f"pairs: {name} is a list of strings, which needs tokenizer=model.tokenizer")


def encode_text(tokenizer: Any, name: str, text: str) -> list[int]:
    """The tokens of one text. Errors: InputError with ``name`` if there are none."""
    tokens = encode(tokenizer, text)
    if not tokens:
        raise InputError(f"pairs: {name} {text!r} has no tokens")
    return tokens


def beginning(tokenizer: Any) -> list[int]:
    """The bos token if the tokenizer puts one before every text by itself, else nothing."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    first, added = encoded["input_ids"][:1], encoded["special_tokens_mask"][:1]
    return first if added == [1] and first == [tokenizer.bos_token_id] else []


def pieces(tokenizer: Any, tokens: list[int]) -> list[str]:
    """The tokens as the tokenizer spells them."""
    return list(tokenizer.convert_ids_to_tokens(tokens))
