"""Prompts and answers as token ids: every number one token, all prompts of a task equally long."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rewire.errors import InputError
from rewire.prompts import encode


class Reader:
    """Encodes prompt and answer with the tokenizer of ``base``; ``drop``: numbers that split are passed over, not refused."""

    def __init__(self, tokenizer: Any, base: str, drop: bool) -> None:
        self.tokenizer, self.base, self.drop = tokenizer, base, drop
        self.words: dict[str, list[int]] = {}
        self.length: dict[str, int] = {}  # of a task's first prompt: the others have it too
        self.dropped: Counter[str] = Counter()
        self.split: dict[str, str] = {}  # a task's first number that splits, and into what

    def read(self, task: str, prompt: str, answer: str) -> list[int] | None:
        """Tokens of the prompt and the answer's one; None for an example that is dropped.

        Errors: InputError that names a word without a token, a number that splits (unless it is dropped), or a prompt of
        another length than the task's first.
        """
        for word in [*prompt.split(), answer]:
            if word.lstrip("-").isdigit() and len(self.encoded(word)) != 1:
                self.pass_over(task, word)
                return None
        tokens = encode(self.tokenizer, prompt)
        self.check_known(task, prompt, tokens)
        if len(tokens) != self.length.setdefault(task, len(tokens)):
            if self.drop:
                self.dropped[task] += 1
                return None
            raise InputError(
                f"task {task!r}: {prompt!r} is {len(tokens)} tokens {self.pieces(tokens)} in the tokenizer of {self.base}, "
                f"expected {self.length[task]} as the others"
            )
        token = self.encoded(answer)
        self.check_known(task, answer, token)
        return [*tokens, *token]

    def encoded(self, word: str) -> list[int]:
        """The tokens of a number after a space."""
        if word not in self.words:
            self.words[word] = encode(self.tokenizer, f" {word}")
        return self.words[word]

    def pass_over(self, task: str, word: str) -> None:
        """Count an example with a number that splits, or refuse it."""
        found = f"the number {word} is {len(self.encoded(word))} tokens {self.pieces(self.encoded(word))}"
        if not self.drop:
            raise InputError(
                f"task {task!r}: {found} in the tokenizer of {self.base}, expected one; ask for smaller numbers (largest), or "
                "leave such examples out (splits: drop)"
            )
        self.dropped[task] += 1
        self.split.setdefault(task, found)

    def check_known(self, task: str, text: str, tokens: list[int]) -> None:
        """InputError if ``text`` has a word that the tokenizer maps to its token for unknown ones."""
        unknown = self.tokenizer.unk_token_id
        if unknown is not None and unknown in tokens:
            lacking = next(w for w in text.split() if unknown in encode(self.tokenizer, f" {w}"))
            raise InputError(f"task {task!r}: the tokenizer of {self.base} has no token for {lacking!r}")

    def pieces(self, tokens: list[int]) -> list[str]:
        return list(self.tokenizer.convert_ids_to_tokens(tokens))

    def account(self, task: str) -> str:
        """How many examples of ``task`` were dropped, and why, for the log."""
        why = f" ({self.split[task]}, for one)" if task in self.split else ""
        return f"{self.dropped[task]} times a number of several tokens was passed over{why}"
