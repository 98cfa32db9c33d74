"""Examples of a task as text: which prompts there are, in random order, and a prompt with one operand replaced."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from rewire.errors import InputError
from rewire.sequential.tasks.declared import Task

DEFAULTS = {"largest": 99, "negative": False, "splits": "refuse"}  # of a task's settings
MOST = 10**7  # prompts of one task that are put in order


@dataclass(frozen=True)
class Example:
    """A question of a task about its operands."""

    task: Task
    question: int
    operands: tuple[int, ...]

    @property
    def prompt(self) -> str:
        return self.task.prompt(self.question, self.operands)

    @property
    def answer(self) -> str:
        return self.task.answer(self.question, self.operands)

    def replaced(self, place: int, value: int) -> Example:
        """The same question with another operand at ``place``."""
        changed = [*self.operands[:place], value, *self.operands[place + 1 :]]
        return Example(self.task, self.question, tuple(changed))


def asked(example: Example, settings: Mapping[str, Any]) -> bool:
    """Whether the task asks this: its own condition, and no negative answer unless ``settings["negative"]``."""
    task, operands = example.task, example.operands
    if not task.allowed(settings["largest"], *operands):
        return False
    return settings["negative"] or task.questions[example.question].answer(*operands) >= 0


def all_examples(task: Task, settings: Mapping[str, Any], seed: int | None = None) -> Iterator[Example]:
    """Every example of ``task``, in random order if a ``seed`` is given, else in order.

    ``settings``: largest (the largest number that an operand may be), negative (whether answers may be below 0).
    Errors: InputError for a largest number below 2, or so large that there are more than ten million prompts.
    """
    if settings["largest"] < 2:
        raise InputError(
            f"task {task.name!r}: the largest number is {settings['largest']}, expected at least 2"
        )
    choices: list[Sequence[int]] = [range(len(task.questions)), *task.ranges(settings["largest"])]
    size = prod(map(len, choices))
    if size > MOST:
        raise InputError(
            f"task {task.name!r}: numbers up to {settings['largest']} make {size} prompts, at most {MOST}"
        )
    order: Sequence[int] = range(size)
    if seed is not None:
        order = random.Random(f"{seed} {task.name}").sample(order, size)
    for number in order:
        question, *operands = unravelled(number, choices)
        example = Example(task, question, tuple(operands))
        if asked(example, settings):
            yield example


def unravelled(number: int, choices: Sequence[Sequence[int]]) -> list[int]:
    """The combination at place ``number`` of all of ``choices``, the last of which varies fastest."""
    out = []
    for values in reversed(choices):
        number, place = divmod(number, len(values))
        out.append(values[place])
    return out[::-1]


def replacements(example: Example, settings: Mapping[str, Any], source: random.Random) -> list[Example]:
    """All examples that differ from ``example`` in one operand, in random order, those with another answer first."""
    found = []
    for place, values in enumerate(example.task.ranges(settings["largest"])):
        for value in values:
            other = example.replaced(place, value)
            if value != example.operands[place] and asked(other, settings):
                found.append(other)
    source.shuffle(found)
    return sorted(found, key=lambda other: other.answer == example.answer)


def check_agreement(task: Task, others: Sequence[Task], settings: Mapping[str, Any]) -> None:
    """InputError if one of ``others`` asks a prompt of ``task`` and answers it differently."""
    for example in all_examples(task, settings):
        for other in others:
            for i, question in enumerate(other.questions):
                if question.template != task.questions[example.question].template:
                    continue
                if (answer := other.answer(i, example.operands)) != example.answer:
                    raise InputError(
                        f"tasks {other.name!r} and {task.name!r} cannot be one: {example.prompt!r} is {answer} to one and "
                        f"{example.answer} to the other"
                    )
