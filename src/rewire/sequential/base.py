"""A base model from nothing that reads the tasks' prompts and knows some arithmetic, but none of the answers to come.

It is trained on the answers of other tasks and on bare prompts of those that are fine-tuned later.
Definitions: docs/definitions.md, "Sequential fine-tuning".
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import set_seed

from rewire.checkpoints.save import save_checkpoint
from rewire.checkpoints.scratch import build_model
from rewire.checkpoints.token_mean_trainer import IGNORED, Example
from rewire.checkpoints.training import Milestones, evenly_spaced, train, write_training_table
from rewire.checkpoints.unfinished import discard
from rewire.pretrained import load_tokenizer
from rewire.sequential.tasks.declared import parts_of
from rewire.sequential.tasks.examples import DEFAULTS, all_examples
from rewire.sequential.tasks.reading import Reader
from rewire.sequential.tasks.splits import split_of
from rewire.sequential.tasks.vocabulary import word_tokenizer, words

VALIDATIONS = 5


def pretrain_base(
    model_entry: Mapping[str, Any],
    tasks: Sequence[str],
    settings: Mapping[str, Any],
    folder: str | Path,
    table: str | Path,
    work: str | Path,
) -> None:
    """Train ``model_entry`` (an entry of ``models:`` with source scratch) for ``tasks`` to be fine-tuned, to ``folder``.

    ``settings``: base (tasks whose answers it learns; prompts, how many of each fine-tuned task it reads without), numbers,
    rows (their proportions are the splits'), seed. The tokenizer is an existing one, or has one token for each word of all
    these tasks. ``work``: where an interrupted run resumes from; removed when done.
    """
    work, recipe, known = Path(work), model_entry["pretraining"], settings["base"]["tasks"]
    tokenizer: Any
    if "path" in model_entry["tokenizer"]:
        tokenizer = load_tokenizer(model_entry["tokenizer"]["path"])
    else:
        tokenizer = word_tokenizer(words([*tasks, *known], settings["numbers"]))
    reader = Reader(tokenizer, str(folder), settings["numbers"].get("splits") == "drop")
    learned = {split: answered(known, split, reader, settings) for split in ("train", "validation")}
    set_seed(recipe["seed"])
    model = build_model(model_entry["architecture"], tokenizer)
    rows = train(
        model,
        learned["train"] + unanswered(tasks, reader, settings),
        learned["validation"],
        recipe,
        work,
        Milestones(validated=evenly_spaced(recipe["steps"], VALIDATIONS)),
        lambda *_: None,
        recipe["seed"],
    )
    save_checkpoint(folder, model, tokenizer)
    write_training_table(table, rows)
    discard(work)


def answered(tasks: Sequence[str], split: str, reader: Reader, settings: Mapping[str, Any]) -> list[Example]:
    """Every prompt of ``tasks`` that falls into ``split``; the loss is on the answer."""
    return [
        Example(tokens, [IGNORED] * (len(tokens) - 1) + tokens[-1:])
        for task in tasks
        for tokens in prompts_of(task, split, reader, settings)
    ]


def unanswered(tasks: Sequence[str], reader: Reader, settings: Mapping[str, Any]) -> list[Example]:
    """``settings["base"]["prompts"]`` training prompts of each of ``tasks``, without their answers, as plain text."""
    out = []
    for task in tasks:
        found = [tokens[:-1] for tokens in prompts_of(task, "train", reader, settings)]
        chosen = random.Random(f"{settings['seed']} {task}").sample(
            found, min(settings["base"]["prompts"], len(found))
        )
        out += [Example(tokens, tokens) for tokens in chosen]
    return out


def prompts_of(name: str, split: str, reader: Reader, settings: Mapping[str, Any]) -> list[list[int]]:
    """Tokens of each prompt of a task (or union) and its answer, of those in ``split``."""
    out = []
    for task in parts_of(name):
        for example in all_examples(task, {**DEFAULTS, **settings["numbers"]}):
            if split_of(example.prompt, settings["rows"], settings["seed"]) == split:
                tokens = reader.read(task.name, example.prompt, example.answer)
                if tokens is not None:
                    out.append(tokens)
    return out
