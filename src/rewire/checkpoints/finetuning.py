"""Fine-tune a base model to summarize: loss on summary tokens alone, checkpoints along the way."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from rewire import prompts
from rewire.checkpoints.names import checkpoint_name
from rewire.checkpoints.save import copy_folder, save_checkpoint
from rewire.checkpoints.token_mean_trainer import IGNORED, Example
from rewire.checkpoints.training import Milestones, evenly_spaced, train, write_training_table
from rewire.checkpoints.unfinished import discard
from rewire.errors import InputError
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.tables import read_table

VALIDATIONS = 10  # during a fine-tuning
SPARE = 32  # tokens for the separator, eos and the space before a summary: more than they take


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
    folder: str | Path,
    table: str | Path,
    work: str | Path,
    kept: Sequence[int],
    store: str | Path,
    language: str = "en",
) -> None:
    """Fine-tune the model in ``base``; write the last weights to ``folder`` and the training ``table``.

    ``kept``: steps before the last whose weights go to folders in ``store``, which is replaced. The table does not
    depend on them: the validation loss is measured ten times. ``work``: where an interrupted run resumes from; removed when
    done. ``settings``: see ``training.train``, and ``seed``.
    """
    work, last = Path(work), settings["steps"]
    if max(kept, default=0) >= last:
        raise InputError(f"a checkpoint at step {max(kept)}: training ends at step {last}")
    milestones = Milestones(validated=evenly_spaced(last, VALIDATIONS), kept=sorted({*kept, last}))
    rows = run(base, train_articles, validation_articles, settings, milestones, work, language)
    # copied, not moved: a rerun after a kill finds them all again
    copy_folder(work / "kept" / checkpoint_name(last), Path(folder))
    shutil.rmtree(store, ignore_errors=True)
    for step in kept:
        copy_folder(work / "kept" / checkpoint_name(step), Path(store) / checkpoint_name(step))
    write_training_table(table, rows)
    discard(work)


def train_until(
    base: str | Path,
    train_articles: str | Path,
    settings: Mapping[str, Any],
    step: int,
    folder: str | Path,
    work: str | Path,
    language: str = "en",
) -> None:
    """The weights that ``finetune`` has after ``step``, to ``folder``: the same training, ended there."""
    work = Path(work)
    if not 0 < step < settings["steps"]:
        raise InputError(f"a checkpoint at step {step}: training ends at step {settings['steps']}")
    run(base, train_articles, None, settings, Milestones(kept=[step], until=step), work, language)
    copy_folder(work / "kept" / checkpoint_name(step), Path(folder))
    discard(work)


def run(
    base: str | Path,
    train_articles: str | Path,
    validation_articles: str | Path | None,
    settings: Mapping[str, Any],
    milestones: Milestones,
    work: Path,
    language: str,
) -> list[dict[str, float | None]]:
    """Train on the articles' summaries, weights at the milestones to ``work / "kept"``; the training table's rows."""
    model, tokenizer = load_transformer(base), load_tokenizer(base)
    context = context_length(model)

    def examples(articles: str | Path) -> SummaryExamples:
        return SummaryExamples(articles, tokenizer, context, language)

    return train(
        model,
        examples(train_articles),
        [] if validation_articles is None else examples(validation_articles),
        settings,
        work,
        milestones,
        lambda current, step: save_checkpoint(work / "kept" / checkpoint_name(step), current, tokenizer),
        settings["seed"],
    )
