"""The pairs of a task, one table a split: prompt and answer, and the same with one operand replaced.

Definitions: docs/definitions.md, "Tasks".
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from rewire.errors import InputError
from rewire.pair_schema import SCHEMA
from rewire.pretrained import load_tokenizer
from rewire.sequential.tasks.declared import Task, parts_of
from rewire.sequential.tasks.examples import DEFAULTS, Example, all_examples, check_agreement, replacements
from rewire.sequential.tasks.reading import Reader
from rewire.sequential.tasks.splits import SPLITS, split_of
from rewire.tables import write_table

log = logging.getLogger(__name__)

Row = dict[str, Any]


def write_task(
    task: str,
    base: str | Path,
    rows: Mapping[str, int],
    seed: int,
    paths: Mapping[str, str | Path],
    settings: Mapping[str, Any],
) -> None:
    """Write ``rows[split]`` pairs of ``task`` (or of a union, ``add+max``) to ``paths[split]``: train, validation, test.

    ``base``: folder whose tokenizer reads them. ``settings``: largest (the largest operand, 99), negative (whether answers
    may be below 0, false), splits (what to do with a number of several tokens: ``refuse``, or ``drop`` the examples that have
    one, which the log counts).

    Clean is the prompt and its answer, one token; corrupted the same with one operand replaced, at equal length, by one that
    makes another answer wherever there is one (else the answer stays: such a pair changes nothing that the model should
    say; the log counts them). The target is the clean answer in both. A union has equally many rows of each part.

    No prompt, clean or corrupted, is in two splits, nor is one with its operands exchanged: the split follows from the
    prompt's words alone (``splits.split_of``), for all tasks alike, and a corrupted prompt is taken from the split of its
    clean one. An example without such a replacement is left out. What cannot be kept apart are the numbers themselves.

    Errors: InputError for an unknown task, a union whose parts answer one prompt differently, a number that the tokenizer
    splits or does not know, or fewer prompts than rows; then nothing is written.
    """
    settings = checked({**DEFAULTS, **settings})
    if sorted(rows) != sorted(SPLITS) or min(rows.values()) < 0 or not sum(rows.values()):
        raise InputError(f"task {task!r}: rows {dict(rows)}, expected how many train, validation and test")
    parts = parts_of(task)
    reader = Reader(load_tokenizer(base), str(base), settings["splits"] == "drop")
    found: list[dict[str, list[Row]]] = []
    taken: set[str] = set()  # prompts of the parts so far
    for number, part in enumerate(parts):
        check_agreement(part, parts[:number], settings)
        # the first parts have one row more where they do not divide evenly
        share = {split: (rows[split] + len(parts) - 1 - number) // len(parts) for split in SPLITS}
        found.append(pairs_of(part, reader, share, rows, seed, settings, taken))
    for split in SPLITS:
        together = list(chain.from_iterable(of_part[split] for of_part in found))
        if len(parts) > 1:
            random.Random(f"{seed} {task} {split}").shuffle(together)
        write_table(paths[split], together, SCHEMA)


def checked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """``settings``; InputError for one that does not exist or a way to treat split numbers that does not."""
    for name in settings:
        if name not in DEFAULTS:
            raise InputError(f"tasks: unknown setting {name!r}; there are {', '.join(DEFAULTS)}")
    if settings["splits"] not in ("refuse", "drop"):
        raise InputError(f"tasks: splits {settings['splits']!r} is not one of refuse, drop")
    return settings


def pairs_of(
    task: Task,
    reader: Reader,
    wanted: Mapping[str, int],
    proportions: Mapping[str, int],
    seed: int,
    settings: Mapping[str, Any],
    taken: set[str],
) -> dict[str, list[Row]]:
    """``wanted[split]`` pairs of ``task`` by split, none whose prompt is ``taken``; theirs are added to it."""
    out: dict[str, list[Row]] = {split: [] for split in SPLITS}
    unchanged = alone = 0
    for example in all_examples(task, settings, seed):
        prompt, answer = example.prompt, example.answer
        split = split_of(prompt, proportions, seed)
        if prompt in taken or len(out[split]) == wanted[split]:
            continue
        check_answer(example)
        if (clean := reader.read(task.name, prompt, answer)) is None:
            continue
        others = replacements(example, settings, random.Random(f"{seed} {prompt}"))
        other = partner(task, clean, others, reader, split, proportions, seed)
        if other is None:
            alone += 1
            continue
        corrupted, changes = other[0], other[1] != answer
        unchanged += not changes
        taken.add(prompt)
        out[split].append(pair(prompt, clean, [*corrupted[:-1], clean[-1]]))
        if all(len(out[name]) == wanted[name] for name in SPLITS):
            break
    log.info(
        "%s: %s; %d pairs whose answer stays, %d prompts without a partner in their split, %s",
        task.name,
        ", ".join(f"{len(out[name])} {name}" for name in SPLITS),
        unchanged,
        alone,
        reader.account(task.name),
    )
    for split in SPLITS:
        if len(out[split]) < wanted[split]:
            raise InputError(
                f"task {task.name!r}: {wanted[split]} {split} rows asked, and only {len(out[split])} prompts of numbers up to "
                f"{settings['largest']} fall into that split"
            )
    return out


def check_answer(example: Example) -> None:
    """InputError if the oracle answers differently."""
    if (right := example.task.oracle(example.prompt)) != example.answer:
        raise InputError(
            f"task {example.task.name!r}: {example.prompt!r} is {example.answer}, and {right} to its oracle"
        )


def partner(
    task: Task,
    clean: list[int],
    others: list[Example],
    reader: Reader,
    split: str,
    proportions: Mapping[str, int],
    seed: int,
) -> tuple[list[int], str] | None:
    """Tokens and answer of the first of ``others`` that is in ``split`` and as long as ``clean``; None if there is none."""
    for other in others:
        prompt, answer = other.prompt, other.answer
        if split_of(prompt, proportions, seed) != split:
            continue
        tokens = reader.read(task.name, prompt, answer)
        if tokens is not None and len(tokens) == len(clean):
            return tokens, answer
    return None


def pair(prompt: str, clean: list[int], corrupted: list[int]) -> Row:
    """One row of the table; ``clean`` and ``corrupted`` end with the answer."""
    last = len(clean) - 1
    return {
        "id": prompt,
        "clean": clean,
        "corrupted": corrupted,
        "target_start": last,
        "masked_spans": [[i, i + 1] for i in range(last) if clean[i] != corrupted[i]],
        "sentence_spans": [[0, last]],
        "sentence_scores": [1.0],
    }
