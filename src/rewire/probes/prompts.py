"""Prompt pairs as tokens, checked against the model's own tokenizer.

A text is encoded as in ``rewire.token_strings``: alone, after bos where the tokenizer puts one before every text by
itself. The answer is read after the last token, and is what its text adds to the prompt's tokens: alone, a tokenizer may
put a space before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.models import Model
from rewire.probes.studies import FIRST, LAST, SIDES, PromptPair, Study
from rewire.token_strings import beginning, pieces


@dataclass(frozen=True)
class Prompts:
    """N prompt pairs. ``clean``, ``corrupted``: N x int64 [T], of equal length in a pair; ``correct``, ``incorrect``: int64 [N].

    ``labels``: N x label -> token position; ``start``: int64 [N], the first position that differs.
    ``spelled``: of both sides, N x the tokens as strings; ``spell``: any token ids as strings.
    """

    ids: list[str]
    groups: list[str]
    templates: list[int]
    clean: list[Tensor]
    corrupted: list[Tensor]
    correct: Tensor
    incorrect: Tensor
    labels: list[dict[str, int]]
    start: Tensor
    spelled: dict[str, list[list[str]]]
    spell: Callable[[list[int]], list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, tokens: int) -> Iterator[Tensor]:
        """Indices int64 [B] of prompts of one length, in batches of at most ``tokens`` tokens (one prompt at least)."""
        by_length: dict[int, list[int]] = {}
        for i, row in enumerate(self.clean):
            by_length.setdefault(len(row), []).append(i)
        for length, rows in sorted(by_length.items()):
            step = max(1, tokens // length)
            for first in range(0, len(rows), step):
                yield torch.tensor(rows[first : first + step])

    def tokens(self, side: str, index: Tensor) -> Tensor:
        """int64 [B, T]: the prompts at ``index``, all of one length, of the ``clean`` or the ``corrupted`` side."""
        return torch.stack([getattr(self, side)[i] for i in index.tolist()])

    def position(self, label: str, example: int) -> int | None:
        """Where a prompt has ``label``, None if it has not."""
        return self.labels[example].get(label)

    def check_labels(self, labels: Sequence[str]) -> None:
        """InputError for a label that no prompt has."""
        known = sorted({label for own in self.labels for label in own})
        for label in labels:
            if label not in known:
                raise InputError(f"position {label!r} is declared by no prompt; there are {', '.join(known)}")


def encode_study(study: Study, model: Model) -> Prompts:
    """The study's pairs as tokens of ``model``.

    Errors: InputError that names the file and the pair: unequal token counts (with both tokenisations), an answer that does
    not add one token to the prompt's, the same to both, or is not in the vocabulary, equal texts, a label at different tokens, a prompt beyond the context,
    no tokenizer.
    """
    if study.encoding != "ids" and model.tokenizer is None:
        raise InputError(
            f"{study.source}: its prompts are {study.encoding}, and the model has no tokenizer (encoding: ids needs none)"
        )
    words = len(model.stream.embedding)
    encoder = Encoder(study.encoding, model.tokenizer, words)
    rows = [encode_pair(f"{study.source}: pair {pair.id}", pair, encoder) for pair in study.pairs]
    for row in rows:
        model.check_length(len(row["clean"]))
    if len({pair.id for pair in study.pairs}) < len(study.pairs):
        raise InputError(f"{study.source}: two pairs have the same id")
    return Prompts(
        [pair.id for pair in study.pairs],
        [pair.group for pair in study.pairs],
        [pair.template for pair in study.pairs],
        [torch.tensor(row["clean"]) for row in rows],
        [torch.tensor(row["corrupted"]) for row in rows],
        torch.tensor([row["correct"] for row in rows]),
        torch.tensor([row["incorrect"] for row in rows]),
        [row["labels"] for row in rows],
        torch.tensor([row["labels"][FIRST] for row in rows]),
        {side: [encoder.spell(row[side]) for row in rows] for side in SIDES},
        encoder.spell,
    )


class Encoder:
    """How a study's texts become token ids: by the tokenizer, as token strings, or as ids."""

    def __init__(self, encoding: str, tokenizer: Any, words: int) -> None:
        self.encoding, self.tokenizer, self.words = encoding, tokenizer, words
        self.start: list[int] = [] if encoding == "ids" else beginning(tokenizer)
        # what the tokenizer writes for a word that it does not know, when it is written by itself
        self.unknown = None if encoding == "ids" else tokenizer.unk_token_id

    def encode(self, where: str, text: str) -> tuple[list[int], list[int]]:
        """Token ids of ``text``, without bos, and one past the last character of each. Errors: InputError."""
        if self.encoding == "text":
            encoded = self.tokenizer(
                text,
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
                verbose=False,
            )
            return list(encoded["input_ids"]), [end for _, end in encoded["offset_mapping"]]
        ids, ends, at = [], [], 0
        for piece in text.split():
            at = text.index(piece, at) + len(piece)
            ids.append(self._one(where, piece))
            ends.append(at)
        return ids, ends

    def _one(self, where: str, piece: str) -> int:
        """The id of a token string, or of a number as it stands."""
        if self.encoding == "pieces":
            known = self.tokenizer.get_vocab()
            if piece not in known:
                raise InputError(f"{where}: {piece!r} is not in the tokenizer's vocabulary")
            return known[piece]
        if not piece.isdecimal() or int(piece) >= self.words:
            raise InputError(
                f"{where}: {piece!r} is not in the vocabulary, the model has token ids 0..{self.words - 1}"
            )
        return int(piece)

    def answer(self, where: str, text: str, prompts: dict[str, tuple[str, list[int]]]) -> int:
        """The one token of an answer after both ``prompts`` (side -> text, ids).

        Errors: InputError if it is none, several, the unknown token, another one after each, or changes the prompt's own.
        """
        found = {side: self._added(where, text, side, *prompt) for side, prompt in prompts.items()}
        if len({*found.values()}) > 1:
            told = ", ".join(f"{self.spell([found[side]])} after {side}" for side in found)
            raise InputError(f"{where} {text!r} is not one token: {told}")
        return found[SIDES[0]]

    def _added(self, where: str, text: str, side: str, prompt: str, before: list[int]) -> int:
        """The token that an answer adds to one prompt, or, of token strings and ids, that it is."""
        if self.encoding == "text":
            whole, _ = self.encode(where, prompt + text)
            if whole[: len(before)] != before:
                raise InputError(
                    f"{where} {text!r} changes the tokens of {side} {self.spell(before)} to {self.spell(whole)}"
                )
            ids = whole[len(before) :]
        else:
            ids, _ = self.encode(where, text)
        if len(ids) != 1:
            raise InputError(f"{where} {text!r} is {len(ids)} tokens {self.spell(ids)}, expected one")
        if self.encoding == "text" and ids[0] == self.unknown and text != self.tokenizer.unk_token:
            raise InputError(f"{where} {text!r} is not in the tokenizer's vocabulary")
        if ids[0] >= self.words:
            raise InputError(f"{where} {text!r} is token {ids[0]}, the model has {self.words}")
        return ids[0]

    def spell(self, ids: list[int]) -> list[str]:
        """The tokens as the tokenizer spells them, ids as they are."""
        return [str(i) for i in ids] if self.encoding == "ids" else pieces(self.tokenizer, ids)


def encode_pair(where: str, pair: PromptPair, encoder: Encoder) -> dict[str, Any]:
    """Tokens of both sides with bos, the answers' tokens, and where the labels are."""
    encoded = {side: encoder.encode(f"{where}: {side}", getattr(pair, side)) for side in SIDES}
    (clean, _), (corrupted, _) = encoded["clean"], encoded["corrupted"]
    if len(clean) != len(corrupted):
        raise InputError(
            f"{where}: {len(clean)} clean tokens {encoder.spell(clean)}, "
            f"{len(corrupted)} corrupted tokens {encoder.spell(corrupted)}"
        )
    if clean == corrupted:
        raise InputError(f"{where}: clean and corrupted are the same tokens {encoder.spell(clean)}")
    if max(*clean, *corrupted) >= encoder.words:
        raise InputError(f"{where}: token {max(*clean, *corrupted)}, the model has {encoder.words}")
    prompts = {side: (getattr(pair, side), encoded[side][0]) for side in SIDES}
    answers = {
        name: encoder.answer(f"{where}: {name} answer", getattr(pair, name), prompts)
        for name in ("correct", "incorrect")
    }
    if answers["correct"] == answers["incorrect"]:
        raise InputError(f"{where}: both answers are {pair.correct!r}")
    before = len(encoder.start)
    labels = {label: before + at for label, at in label_positions(where, pair, encoded).items()}
    first = next(i for i, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b)
    labels |= {FIRST: before + first, LAST: before + len(clean) - 1}
    return {
        "clean": encoder.start + clean,
        "corrupted": encoder.start + corrupted,
        "labels": labels,
        **answers,
    }


def label_positions(
    where: str, pair: PromptPair, encoded: dict[str, tuple[list[int], list[int]]]
) -> dict[str, int]:
    """Label -> its token: the one with the last character of the labelled slot, the same in both texts."""
    found: dict[str, int] = {}
    for label, ends in pair.ends.items():
        clean, corrupted = (
            next((i for i, end in enumerate(encoded[side][1]) if end >= mark), len(encoded[side][1]) - 1)
            for side, mark in zip(SIDES, ends, strict=True)
        )
        if clean != corrupted:
            raise InputError(
                f"{where}: {label!r} is token {clean} in the clean text, {corrupted} in the corrupted"
            )
        found[label] = clean
    length = len(encoded["clean"][0])
    for label, position in pair.positions.items():
        if not 0 <= position < length:
            raise InputError(f"{where}: position {label!r} is token {position} of {length}")
        found[label] = position
    for label in found:
        if label in (FIRST, LAST):
            raise InputError(f"{where}: every prompt has a position {label!r}; name yours otherwise")
    return found
