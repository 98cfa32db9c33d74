"""Fine-tune a base model to summarize: loss on summary tokens alone, checkpoints along the way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire import prompts
from rewire.checkpoints.save import copy_folder, save_checkpoint
from rewire.checkpoints.training import IGNORED, Example, train, write_training_table
from rewire.errors import InputError
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table


def checkpoint_name(step: int) -> str:
    """``step-000100`` for step 100."""
    return f"step-{step:06d}"


def summary_examples(articles: str | Path, tokenizer: Any, context: int, language: str) -> list[Example]:
    """Training examples of an articles table: the whole prompt, labels on the summary and its eos."""
    examples = []
    for row in read_table(articles).to_pylist():
        prompt = prompts.build(tokenizer, row["id"], row["article"], row["summary"], context, language)
        labels = [IGNORED] * prompt.target_start + prompt.summary
        examples.append(Example(prompt.tokens, labels))
    return examples


def finetune(
    base: str | Path,
    train_articles: str | Path,
    validation_articles: str | Path,
    settings: Mapping[str, Any],
    folders: Mapping[int, str | Path],
    table: str | Path,
    work: str | Path,
    language: str = "en",
) -> None:
    """Fine-tune the model in ``base`` and write one folder a step of ``folders`` and the training ``table``.

    ``folders``: step -> output folder. ``work``: where an interrupted run resumes from; removed when done.
    ``settings``: see ``training.train``, and ``seed``.
    """
    work = Path(work)
    if max(folders) > settings["steps"]:
        raise InputError(f"a checkpoint at step {max(folders)}: training ends at step {settings['steps']}")
    model, tokenizer = load_transformer(base), load_tokenizer(base)
    context = context_length(model)
    kept = work / "kept"
    rows = train(
        model,
        summary_examples(train_articles, tokenizer, context, language),
        summary_examples(validation_articles, tokenizer, context, language),
        settings,
        work,
        milestones=sorted(folders),
        keep=lambda current, step: save_checkpoint(kept / checkpoint_name(step), current, tokenizer),
        seed=settings["seed"],
    )
    for step, folder in folders.items():  # copied, not moved: a rerun after a kill finds them all again
        copy_folder(kept / checkpoint_name(step), Path(folder))
    write_training_table(table, rows)
    shutil.rmtree(work)
