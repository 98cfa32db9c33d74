"""Pairs of a task that needs no tokenizer: two numbers, then the digits of their sum, last digit first.

With two digits, 3 5 4 7 -> 2 8 0 (35 + 47 = 082); each token is a digit. Definitions: docs/definitions.md, "Sums".
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.errors import InputError
from rewire.pair_schema import SCHEMA
from rewire.tables import write_table

CORRUPTIONS = ("operands", "digit")


def write_sums(digits: int, mode: str, settings: Mapping[str, Any], path: str | Path) -> None:
    """Write ``settings["examples"]`` pairs of distinct questions, the same questions for every mode.

    ``mode``: ``operands`` draws every digit of the question anew (another question), ``digit`` one digit at random.
    The answer's digits stay, as the clean question's: they are the targets. ``settings``: examples, seed.
    Errors: InputError for an unknown mode, or more examples than there are questions.
    """
    if mode not in CORRUPTIONS:
        raise InputError(f"corruption {mode!r} is not one of {', '.join(CORRUPTIONS)}")
    count, questions = settings["examples"], 10 ** (2 * digits)
    if count > questions:
        raise InputError(f"{count} different sums of {digits} digits: there are only {questions}")
    drawn = random.Random(settings["seed"]).sample(range(questions), count)
    rows = []
    for number in drawn:
        question = digits_of(number, 2 * digits)
        changed = corrupted(question, mode, random.Random(f"{settings['seed']} {mode} {number}"))
        answer = answer_to(question, digits)
        left, right = (int("".join(map(str, part))) for part in (question[:digits], question[digits:]))
        replaced = [[i, i + 1] for i, (a, b) in enumerate(zip(question, changed, strict=True)) if a != b]
        rows.append(
            {
                "id": f"{left}+{right}",
                "clean": question + answer,
                "corrupted": changed + answer,
                "target_start": 2 * digits,
                "masked_spans": replaced,
                "sentence_spans": [[0, 2 * digits]],
                "sentence_scores": [1.0],
            }
        )
    write_table(path, rows, SCHEMA)


def digits_of(number: int, count: int) -> list[int]:
    """The ``count`` decimal digits of ``number``, first digit first."""
    return [int(digit) for digit in f"{number:0{count}d}"]


def answer_to(question: list[int], digits: int) -> list[int]:
    """The digits of the sum, one more than an operand has, last digit first."""
    left, right = (int("".join(map(str, part))) for part in (question[:digits], question[digits:]))
    return digits_of(left + right, digits + 1)[::-1]


def corrupted(question: list[int], mode: str, source: random.Random) -> list[int]:
    """Another question of as many digits."""
    while True:
        if mode == "operands":
            changed = [source.randrange(10) for _ in question]
        else:
            changed = list(question)
            changed[source.randrange(len(question))] = source.randrange(10)
        if changed != question:
            return changed
