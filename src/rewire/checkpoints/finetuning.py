"""Fine-tune a base model to summarize: loss on summary tokens alone, checkpoints along the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from rewire import prompts
from rewire.checkpoints.save import copy_folder, save_checkpoint
from rewire.checkpoints.training import IGNORED, Example, discard, train, write_training_table
from rewire.errors import InputError
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table

SPARE = 32  # tokens for the separator, eos and the space before a summary: more than they take


def checkpoint_name(step: int) -> str:
    """``step-000100`` for step 100."""
    return f"step-{step:06d}"


class SummaryExamples(Sequence[Example]):
    """Training examples of an articles table: the whole prompt, labels on the summary and its eos.

    An example is tokenised when it is first asked for: a short run never reads most of a long table.
    Errors: InputError that names the row whose summary does not fit the context.
    """

    def __init__(self, articles: str | Path, tokenizer: Any, context: int, language: str) -> None:
        self.rows = read_table(articles, ("id", "article", "summary"))
        self.tokenizer, self.context, self.language = tokenizer, context, language
        self.made: dict[int, Example] = {}
        for index, summary in enumerate(self.rows["summary"].to_pylist()):
            if len(summary.encode()) + SPARE >= context:  # else it fits: no token is less than a byte
                self[index]
        self.fingerprint = self.hash(Path(articles))

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index not in self.made:
            self.made[index] = self.make(self.rows.slice(index, 1).to_pylist()[0])
        return self.made[index]

    def make(self, row: Mapping[str, str]) -> Example:
        prompt = prompts.build(
            self.tokenizer, row["id"], row["article"], row["summary"], self.context, self.language
        )
        return Example(prompt.tokens, [IGNORED] * prompt.target_start + prompt.summary)

    def hash(self, articles: Path) -> str:
        """Of the table's file and of what turns a row into tokens, a first example included."""
        found = hashlib.sha256(articles.read_bytes())
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        written = repr(self.tokenizer) if backend is None else backend.to_str()
        found.update(repr([written, self.context, self.language, self[0]]).encode())
        return found.hexdigest()


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
        SummaryExamples(train_articles, tokenizer, context, language),
        SummaryExamples(validation_articles, tokenizer, context, language),
        settings,
        work,
        milestones=sorted(folders),
        keep=lambda current, step: save_checkpoint(kept / checkpoint_name(step), current, tokenizer),
        seed=settings["seed"],
    )
    for step, folder in folders.items():  # copied, not moved: a rerun after a kill finds them all again
        copy_folder(kept / checkpoint_name(step), Path(folder))
    write_training_table(table, rows)
    discard(work)
