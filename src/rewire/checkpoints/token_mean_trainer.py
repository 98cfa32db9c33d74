"""A ``transformers.Trainer`` whose losses count target tokens, and whose batches shrink to what memory holds."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers import Trainer

from rewire.batches import Batches, attempt
from rewire.errors import InputError

log = logging.getLogger(__name__)

IGNORED = -100  # the label that the loss skips


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


class TokenMeanTrainer(Trainer):
    """A Trainer whose losses are means over target tokens, whatever the batch size.

    Logits are computed only from the first target of a batch on: articles are read, not predicted. A batch that does not
    fit in memory is run in parts, whose gradients add up to the same (dropout draws other units).
    """

    def __init__(self, held_out: Sequence[Example], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.held_out = held_out
        assert self.model is not None
        self.window = keeps_logits(self.model)
        self.validation = Batches(self.args.eval_batch_size, "validation loss")
        self.part = self.args.train_batch_size  # examples of a batch that are run at once

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # type: ignore[no-untyped-def]
        total, count = target_loss(model, inputs, self.window)
        loss = total / (count if num_items_in_batch is None else num_items_in_batch)
        return (loss, None) if return_outputs else loss

    def training_step(self, model, inputs, num_items_in_batch=None):  # type: ignore[no-untyped-def]
        """The gradient of the batch's mean loss, in as many parts as memory asks for; returns the loss."""
        rows = list(range(len(inputs["labels"])))
        targets = (inputs["labels"][:, 1:] != IGNORED).sum().to(self.args.device)

        def step(rows: list[int]) -> torch.Tensor:
            parts = [rows[start : start + self.part] for start in range(0, len(rows), self.part)]
            losses = [
                super(TokenMeanTrainer, self).training_step(
                    model, {name: value[part] for name, value in inputs.items()}, targets
                )
                for part in parts
            ]
            return torch.stack(losses).sum()

        random = random_states()
        while (done := attempt(step, rows)) is None:
            model.zero_grad(set_to_none=True)  # what the parts before the one that failed had added up
            restore(random)
            tried = min(self.part, len(rows))
            if tried == 1:
                raise InputError("training: one example alone does not fit in memory")
            self.part = tried // 2
            log.warning("training: the batch does not fit in memory, going on with %d at once", self.part)
        return done[0]

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Of several adapters transformers goes on to train the first alone; here the same ones as before."""
        from peft import PeftModel

        trained: Any = self.model
        several = trained.active_adapters if isinstance(trained, PeftModel) else []
        wanted = {name for name, parameter in trained.named_parameters() if parameter.requires_grad}
        super()._load_from_checkpoint(*args, **kwargs)
        if len(several) > 1:
            trained.base_model.set_adapter(several)
            for name, parameter in trained.named_parameters():
                parameter.requires_grad_(name in wanted)

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        assert self.model is not None
        self.model.eval()
        total = count = 0.0
        examples = range(len(self.held_out))
        for _, (loss, targets) in self.validation.run(examples, [1] * len(examples), self.loss_of):
            total, count = total + loss, count + targets
        metrics = {"eval_loss": total / count if count else math.nan}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def loss_of(self, batch: list[int]) -> tuple[float, int]:
        """Sum of the NLL of a batch of the validation examples, and their number of targets."""
        inputs = collate([self.held_out[i] for i in batch])
        inputs = {name: value.to(self.args.device) for name, value in inputs.items()}
        loss, targets = target_loss(self.model, inputs, self.window)
        return float(loss), int(targets)


def random_states() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What dropout draws from next, on the CPU and on every GPU."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def restore(states: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
    """Draw again what was drawn since ``random_states``: a resumed run fails at the same place before it goes on."""
    torch.set_rng_state(states[0])
    if states[1]:
        torch.cuda.set_rng_state_all(states[1])


def keeps_logits(model: Any) -> bool:
    """Whether the model can compute the logits of the last positions alone (transformers' ``logits_to_keep``)."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(whole.forward).parameters


def target_loss(
    model: Any, batch: Mapping[str, torch.Tensor], window: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the NLL of the labelled tokens (nats), and how many they are.

    ``batch``: as of ``collate``. ``window``: unembed only the positions from the batch's first target on.
    """
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    labels = batch["labels"][:, 1:]  # position t predicts token t + 1
    targets = labels != IGNORED
    if window and bool(targets.any()):
        first = int(targets.any(dim=0).int().argmax())
        inputs["logits_to_keep"] = labels.shape[1] + 1 - first  # type: ignore[assignment]
        labels = labels[:, first:]
    logits = model(**inputs).logits[:, :-1].float()
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss, targets.sum()
