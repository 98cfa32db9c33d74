"""Train with ``transformers.Trainer``: resumable, checkpoints at chosen steps, one table of what happened."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback, TrainingArguments

from rewire.checkpoints.stopping import best_step, is_over, validation_losses
from rewire.checkpoints.token_mean_trainer import Example, TokenMeanTrainer, collate
from rewire.checkpoints.unfinished import fresh_unless_same, last_checkpoint, seal
from rewire.tables import schema, write_table
from rewire.whole_file import explaining

log = logging.getLogger(__name__)

SCHEMA = schema(
    step="int64",
    train_loss="float64",
    validation_loss="float64",
    learning_rate="float64",
    gradient_norm="float64",
)


@dataclass(frozen=True)
class Milestones:
    """Steps at which a run stops for a moment: to measure the validation loss, or to hand its weights over.

    ``until``: the step after which it ends for good, before ``settings["steps"]``: up to there it is the same run.
    """

    validated: Sequence[int] = ()
    kept: Sequence[int] = ()
    until: int | None = None


def evenly_spaced(steps: int, parts: int) -> list[int]:
    """``parts`` steps at equal distances, fewer in a short run; the last one is ``steps``."""
    return sorted({max(1, steps * part // parts) for part in range(1, parts + 1)})


class _AtMilestones(TrainerCallback):
    """Hand the model to ``keep``, measure the validation loss, save for a resume, each at its steps."""

    def __init__(self, milestones: Milestones, keep: Callable[[Any, int], None], resume_every: int) -> None:
        self.milestones, self.keep, self.resume_every = milestones, keep, resume_every

    def on_step_end(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        step = state.global_step
        if step in self.milestones.kept:
            self.keep(model, step)
        if step in self.milestones.validated:
            control.should_evaluate = True
        if step == self.milestones.until:
            control.should_training_stop = True
        elif step % self.resume_every == 0 and step < state.max_steps:
            # logged before it is saved: a resumed Trainer forgets the losses that it has not logged
            control.should_log = control.should_save = True
        return control

    def on_save(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        seal(Path(args.output_dir, f"checkpoint-{state.global_step}"))


class _Improvements(TrainerCallback):
    """Hand the model to ``keep`` where the validation loss is the lowest so far; stop when it no longer falls.

    Everything follows from the Trainer's log, which a resume restores. What an earlier step kept is dropped (``drop``
    gets the best step) only once a checkpoint is saved that knows the better one.
    """

    def __init__(
        self, patience: int, before: float, keep: Callable[[Any, int], None], drop: Callable[[int], None]
    ) -> None:
        self.patience, self.before, self.keep, self.drop = patience, before, keep, drop

    def on_evaluate(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        losses = validation_losses(state.log_history)
        if state.global_step and best_step(losses) == state.global_step:
            self.keep(model, state.global_step)
        if is_over(losses, self.before, self.patience):
            control.should_training_stop = True
        return control

    def on_save(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        step = best_step(validation_losses(state.log_history))
        if step is not None:
            self.drop(step)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after ``patience`` validations without a loss below all before, step 0's among them.

    ``keep`` is then called at validated steps that are the best so far, and ``drop(step)`` when no step before
    ``step`` can be the best any more. Step 0 itself is never kept: its weights are the base model's.
    """

    patience: int
    drop: Callable[[int], None]


def train(
    model: PreTrainedModel | torch.nn.Module,
    examples: Sequence[Example],
    validation: Sequence[Example],
    settings: Mapping[str, Any],
    work: Path,
    milestones: Milestones,
    keep: Callable[[Any, int], None],
    seed: int,
    stopping: EarlyStopping | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> list[dict[str, float | None]]:
    """Train for ``settings["steps"]`` optimizer steps and return the rows of the training table.

    ``settings``: the keys steps, batch_size, learning_rate, schedule, warmup, weight_decay, beta2, log_every, resume_every.
    ``work``: folder of the unfinished run, resumed if it was started with the same settings and code, and removed at the
    end by the caller. ``keep(model, step)`` is called at the milestones to keep and must be safe to call again after a resume.
    The validation loss (nats a token, mean over ``validation``) is measured at step 0 and at the milestones to validate.
    ``stopping``: end early, and keep only the best validated; ``callbacks``: for who wants to watch. Neither changes a step.
    Examples are asked for in an order that depends on ``seed`` and their number alone.
    """
    identity = {"settings": dict(settings), "seed": seed, "milestones": asdict(milestones)}
    if stopping is not None:
        identity["patience"] = stopping.patience
    fresh_unless_same(work, identity | {"start": digest(model, [examples, validation])})
    trainer = TokenMeanTrainer(
        validation,
        model=model,
        args=trainer_arguments(settings, work, seed),
        train_dataset=examples,
        data_collator=collate,
        callbacks=[_AtMilestones(milestones, keep, settings["resume_every"]), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_checkpoint(work)
    if last is None:
        before = trainer.evaluate()["eval_loss"] if len(validation) else math.nan
        # in brackets: half a number is one too
        (work / "before.json").write_text(json.dumps([before]))
    [before] = json.loads((work / "before.json").read_text())
    if stopping is not None:
        trainer.add_callback(_Improvements(stopping.patience, before, keep, stopping.drop))
    if last is not None:
        log.info("resuming from %s", last.name)
        history = json.loads((last / "trainer_state.json").read_text())["log_history"]
        if stopping is not None and is_over(validation_losses(history), before, stopping.patience):
            return training_rows(history, before)  # it had stopped right before it was killed
    with explaining(work):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    return training_rows(trainer.state.log_history, before)


def trainer_arguments(settings: Mapping[str, Any], work: Path, seed: int) -> TrainingArguments:
    """The settings of ``train`` in transformers' words."""
    return TrainingArguments(
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
        save_total_limit=2,  # one is whole while the other is written
        seed=seed,
        data_seed=seed,
        report_to=[],
        disable_tqdm=not sys.stderr.isatty(),  # a bar in a terminal, nothing in a log file
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )


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
        if "loss" not in entry and "eval_loss" not in entry:  # the Trainer's closing words
            continue
        row = rows.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        row.update({names[key]: number(value) for key, value in entry.items() if key in names})
    return [rows[step] for step in sorted(rows)]


def number(value: float) -> float:
    """``value`` as it is after a resume: what was not a number comes back from JSON as the one NaN, without a sign."""
    return math.nan if math.isnan(value) else float(value)


def write_training_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of ``train``: step, train_loss, validation_loss, learning_rate, gradient_norm."""
    write_table(path, [{name: row.get(name) for name in SCHEMA.names} for row in rows], SCHEMA)


def digest(model: Any, data: Sequence[Sequence[Example]]) -> str:
    """A hash of what training starts from: weights, adapter settings and examples."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    for adapter, config in getattr(model, "peft_config", {}).items():
        described = {key: sorted(v) if isinstance(v, set) else str(v) for key, v in config.to_dict().items()}
        found.update(json.dumps([adapter, described], sort_keys=True).encode())
    for examples in data:
        found.update(fingerprint(examples).encode())
    return found.hexdigest()


def fingerprint(examples: Sequence[Example]) -> str:
    """What tells examples from others: their own ``fingerprint`` if they state one, else a hash of them all."""
    stated = getattr(examples, "fingerprint", None)
    if stated is not None:
        return str(stated)
    found = hashlib.sha256()
    for example in examples:
        found.update(repr(example).encode())
    return found.hexdigest()
