"""Train with ``transformers.Trainer``: resumable, checkpoints at chosen steps, one table of what happened."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from rewire.tables import schema, write_table

log = logging.getLogger(__name__)

IGNORED = -100  # the label that the loss skips
SCHEMA = schema(
    step="int64",
    train_loss="float64",
    validation_loss="float64",
    learning_rate="float64",
    gradient_norm="float64",
)


@dataclass(frozen=True)
class Example:
    """Token ids and labels of one training example, same length; labels are IGNORED outside the loss."""

    tokens: list[int]
    labels: list[int]


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Right-pad a batch: input_ids, attention_mask and labels, int64 [B, T]."""
    length = max(len(example.tokens) for example in examples)

    def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([row + [fill] * (length - len(row)) for row in rows])

    return {
        "input_ids": padded([example.tokens for example in examples], 0),
        "attention_mask": padded([[1] * len(example.tokens) for example in examples], 0),
        "labels": padded([example.labels for example in examples], IGNORED),
    }


class _Milestones(TrainerCallback):
    """Hand the model to ``keep`` at the milestone steps, measure the validation loss there, save for a resume."""

    def __init__(self, steps: Sequence[int], keep: Callable[[Any, int], None], resume_every: int) -> None:
        self.steps, self.keep, self.resume_every = set(steps), keep, resume_every

    def on_step_end(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        if state.global_step in self.steps:
            self.keep(model, state.global_step)
            control.should_evaluate = True
        if state.global_step % self.resume_every == 0 and state.global_step < state.max_steps:
            # logged before it is saved: a resumed Trainer forgets the losses that it has not logged
            control.should_log = control.should_save = True
        return control


class _TokenMeanTrainer(Trainer):
    """A Trainer whose validation loss is the mean over target tokens, whatever the batch size."""

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        assert self.model is not None
        self.model.eval()
        total = count = 0.0
        for batch in self.get_eval_dataloader():
            batch = {name: value.to(self.args.device) for name, value in batch.items()}
            labels = batch.pop("labels")[:, 1:]
            logits = self.model(**batch).logits[:, :-1].float()
            total += float(
                F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
            )
            count += int((labels != IGNORED).sum())
        metrics = {"eval_loss": total / count if count else math.nan}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train(
    model: PreTrainedModel | torch.nn.Module,
    examples: Sequence[Example],
    validation: Sequence[Example],
    settings: Mapping[str, Any],
    work: Path,
    milestones: Sequence[int],
    keep: Callable[[Any, int], None],
    seed: int,
) -> list[dict[str, float | None]]:
    """Train for ``settings["steps"]`` optimizer steps and return the rows of the training table.

    ``settings``: the keys steps, batch_size, learning_rate, schedule, warmup, weight_decay, beta2, log_every, resume_every.
    ``work``: folder of the unfinished run, resumed if it was started with the same settings, and removed at the end
    by the caller. ``keep(model, step)`` is called at every milestone step and must be safe to call again after a resume.
    The validation loss (nats a token, mean over ``validation``) is measured at step 0 and at the milestones.
    """
    identity = {"settings": dict(settings), "seed": seed, "milestones": list(milestones)}
    fresh_unless_same(work, identity | {"start": digest(model, [*examples, *validation])})
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=settings["steps"],
        per_device_train_batch_size=settings["batch_size"],
        per_device_eval_batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=settings["warmup"],
        weight_decay=settings["weight_decay"],
        adam_beta2=settings["beta2"],
        logging_steps=settings["log_every"],
        save_strategy="no",
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        report_to=[],
        disable_tqdm=not sys.stderr.isatty(),  # a bar in a terminal, nothing in a log file
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = _TokenMeanTrainer(
        model=model,
        args=arguments,
        train_dataset=list(examples),
        eval_dataset=list(validation),
        data_collator=collate,
        callbacks=[_Milestones(milestones, keep, settings["resume_every"])],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(work)
    if last is None:
        before = trainer.evaluate()["eval_loss"] if validation else math.nan
        (work / "before.json").write_text(json.dumps(before))
    else:
        log.info("resuming from %s", last.name)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    history = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
    return training_rows(history, json.loads((work / "before.json").read_text()))


def training_rows(history: Sequence[Mapping[str, float]], before: float) -> list[dict[str, float | None]]:
    """Rows by step from the Trainer's log: train_loss is the mean since the row before, nats a token."""
    rows: dict[int, dict[str, float | None]] = {0: {"step": 0, "validation_loss": before}}
    names = {
        "loss": "train_loss",
        "eval_loss": "validation_loss",
        "learning_rate": "learning_rate",
        "grad_norm": "gradient_norm",
    }
    for entry in history:
        row = rows.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        row.update({names[key]: float(value) for key, value in entry.items() if key in names})
    return [rows[step] for step in sorted(rows)]


def write_training_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of ``train``: step, train_loss, validation_loss, learning_rate, gradient_norm."""
    write_table(path, [{name: row.get(name) for name in SCHEMA.names} for row in rows], SCHEMA)


def digest(model: Any, examples: Sequence[Example]) -> str:
    """A hash of what training starts from: weights, adapter settings and examples."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    for adapter, config in getattr(model, "peft_config", {}).items():
        described = {key: sorted(v) if isinstance(v, set) else str(v) for key, v in config.to_dict().items()}
        found.update(json.dumps([adapter, described], sort_keys=True).encode())
    for example in examples:
        found.update(repr(example).encode())
    return found.hexdigest()


def fresh_unless_same(work: Path, identity: Mapping[str, Any]) -> None:
    """Empty ``work`` unless it holds an unfinished run of the same ``identity``."""
    marker = work / "identity.json"
    text = json.dumps(identity, sort_keys=True)
    if work.exists() and (not marker.is_file() or marker.read_text() != text):
        log.info("%s: an unfinished run with other settings is dropped", work)
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    marker.write_text(text)


def last_checkpoint(work: Path) -> Path | None:
    """The newest complete Trainer checkpoint in ``work``; a half-written one (no trainer state) is not taken."""
    if not (work / "before.json").is_file():
        return None
    complete = [folder for folder in work.glob("checkpoint-*") if is_json(folder / "trainer_state.json")]
    return max(complete, key=lambda folder: int(folder.name.split("-")[1]), default=None)


def is_json(path: Path) -> bool:
    """Whether the file is there and whole."""
    try:
        return bool(json.loads(path.read_text()))
    except (OSError, ValueError):
        return False
