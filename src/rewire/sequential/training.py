"""Train one stage on the answers of one task, or of several together: checkpoints on the way, one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from transformers import set_seed

from rewire.checkpoints.finetuning import VALIDATIONS
from rewire.checkpoints.names import checkpoint_name
from rewire.checkpoints.save import copy_folder, save_checkpoint
from rewire.checkpoints.token_mean_trainer import IGNORED, Example
from rewire.checkpoints.training import SCHEMA, Milestones, evenly_spaced, train
from rewire.checkpoints.unfinished import discard
from rewire.errors import InputError
from rewire.lora.adapter_files import save_adapter
from rewire.pairs import checked_rows
from rewire.pretrained import bottom_of, find_tokenizer
from rewire.sequential.adapters import is_adapted, prepared
from rewire.tables import write_table

log = logging.getLogger(__name__)

# the training table of any run, and how many parameters this one trained, the same in every row
TABLE = SCHEMA.append(pa.field("parameters", pa.int64()))


def answer_examples(tables: Sequence[str | Path]) -> list[Example]:
    """The clean prompts of tables of pairs with their answers, in the order of the tables; labels on the answer alone.

    Errors: InputError that names the file for one that is not such a table.
    """
    examples = []
    for path in tables:
        for row in checked_rows(path, ("clean", "target_start")):
            tokens, start = row["clean"], row["target_start"]
            if not 0 < start < len(tokens):
                raise InputError(f"{path}: an answer from token {start} of {len(tokens)}")
            examples.append(Example(tokens, [IGNORED] * start + tokens[start:]))
    return examples


def train_stage(
    start: str | Path,
    train_tables: Sequence[str | Path],
    validation_tables: Sequence[str | Path],
    settings: Mapping[str, Any],
    folder: str | Path,
    table: str | Path,
    work: str | Path,
    variant: Mapping[str, Any] | None = None,
    circuit: str | Path | None = None,
) -> None:
    """Train the model at ``start``; write ``folder`` / ``step-000060`` for every step that is kept, and ``table``.

    A checkpoint is a PEFT adapter that names what it was put on, or (trained in full) a model with its tokenizer; either
    is what ``rewire.models.load`` takes. ``settings``: training (see ``training.train``, and seed), steps (kept before
    the last), adapter, full. ``variant``: of a second stage, how it follows the first one: adapters (see
    ``adapters.prepared``), rate (that the learning rate is multiplied by), circuit (inside or outside that of the scores
    file ``circuit``, or random, drawn with seed). ``work``: where an interrupted run resumes from; removed when done.
    """
    variant, work = variant or {}, Path(work)
    recipe = dict(settings["training"])
    recipe["learning_rate"] *= variant.get("rate", 1)
    set_seed(recipe["seed"])
    side = variant.get("circuit"), variant.get("seed", 0)
    model, parameters = prepared(start, settings, variant.get("adapters"), circuit, *side)
    tokenizer = find_tokenizer(bottom_of(start))
    log.info("%s: %d parameters are trained", start, parameters)
    steps = kept_steps(settings)

    def keep(current: Any, step: int) -> None:
        target = work / "kept" / checkpoint_name(step)
        if is_adapted(current):
            save_adapter(target, current)
        else:
            save_checkpoint(target, current, tokenizer)

    rows = train(
        model,
        answer_examples(train_tables),
        answer_examples(validation_tables),
        recipe,
        work,
        Milestones(validated=evenly_spaced(recipe["steps"], VALIDATIONS), kept=steps),
        keep,
        recipe["seed"],
    )
    copy_folder(work / "kept", Path(folder))
    named = [{name: row.get(name) for name in SCHEMA.names} for row in rows]
    write_table(table, [row | {"parameters": parameters} for row in named], TABLE)
    discard(work)


def kept_steps(settings: Mapping[str, Any]) -> list[int]:
    """The steps whose weights are kept, the last one among them."""
    return sorted({*settings["steps"], settings["training"]["steps"]})
