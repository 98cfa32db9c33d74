"""What a pair asks of the model: the summary of an article, or how the article goes on.

Definitions: docs/definitions.md, "Pairs".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rewire import prompts
from rewire.errors import InputError
from rewire.prompts import Span


@dataclass(frozen=True)
class Task:
    """One example: what a corruption may change, and what the model is to predict after it, as token ids.

    ``article``: the tokens that may be corrupted; ``sentences``: their spans. ``question``: what follows them and is
    not predicted. ``answer``: the targets. ``reference``: the answer as text, against which sentences are scored.
    """

    article: list[int]
    sentences: list[Span]
    question: list[int]
    answer: list[int]
    reference: str

    @property
    def target_start(self) -> int:
        """Index of the first target among all tokens."""
        return len(self.article) + len(self.question)

    def completed(self, article: list[int]) -> list[int]:
        """All tokens, with ``article`` in the place of the article's."""
        return article + self.question + self.answer


def summary(tokenizer: Any, row: Mapping[str, str], context: int, language: str) -> Task:
    """The article, ``TL;DR:`` and its summary."""
    prompt = prompts.build(tokenizer, row["id"], row["article"], row["summary"], context, language)
    return Task(prompt.article, prompt.sentences, prompt.separator, prompt.summary, row["summary"])


def continuation(tokenizer: Any, row: Mapping[str, str], context: int, language: str) -> Task:
    """The article up to its last sentence, and that sentence: language modelling on the same text.

    Of a long article, the last sentence that fits the context. No answer where there is one sentence alone.
    """
    tokens, sentences = prompts.fit_article(tokenizer, row["article"], context, language)
    start = sentences[-1][0] if sentences else 0
    answer = tokens[start:]
    return Task(tokens[:start], sentences[:-1], [], answer, str(tokenizer.decode(answer)))


TASKS: dict[str, Callable[[Any, Mapping[str, str], int, str], Task]] = {
    "summary": summary,
    "continuation": continuation,
}


def build(task: str, tokenizer: Any, row: Mapping[str, str], context: int, language: str = "en") -> Task:
    """The example that ``task`` makes of one row (id, article, summary), at most ``context`` tokens.

    Errors: InputError for an unknown task, or a row that does not fit the context.
    """
    if task not in TASKS:
        raise InputError(f"task {task!r} is not one of {', '.join(TASKS)}")
    return TASKS[task](tokenizer, row, context, language)
