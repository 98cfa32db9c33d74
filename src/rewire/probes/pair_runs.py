"""The clean and the corrupted run of a study's prompts, a batch of one length at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rewire.batches import Batches
from rewire.errors import InputError
from rewire.models import Model
from rewire.probes.measures import Answers, measure_run
from rewire.probes.patching import Patching
from rewire.probes.prompts import Prompts
from rewire.probes.runs import Run
from rewire.progress import bar

SHARE = 8  # of batch_tokens that go to cached runs: every layer of both is kept, of patched rows one layer


@dataclass(frozen=True)
class Batch:
    """B prompts of one length. ``index``: int64 [B], which; ``answers``: int64 [B, 2], correct and incorrect."""

    index: Tensor
    clean: Run
    corrupted: Run
    answers: Tensor
    start: Tensor

    def runs(self) -> dict[str, Run]:
        return {"clean": self.clean, "corrupted": self.corrupted}

    @property
    def patching(self) -> Patching:
        """Patches of the corrupted run with activations of the clean one."""
        return Patching(self.clean, self.corrupted, self.start)

    @property
    def reading(self) -> Answers:
        return Answers(*self.answers.unbind(1))


def batches(model: Model, prompts: Prompts, batch_tokens: int, what: str = "probes") -> Iterator[Batch]:
    """Both runs of all prompts, at most ``batch_tokens`` / SHARE tokens at a time (one prompt at least).

    Errors: InputError that names the pair and the run that is not finite.
    """
    with bar(len(prompts), what, "prompt") as progress:
        for index, (clean, corrupted) in both_runs(model, prompts, max(1, batch_tokens // SHARE), what):
            answers = torch.stack([prompts.correct[index], prompts.incorrect[index]], dim=1)
            batch = Batch(index, clean, corrupted, answers, prompts.start[index])
            refuse_broken(batch, prompts)
            yield batch
            progress.update(len(index))


def both_runs(
    model: Model, prompts: Prompts, tokens: int, what: str
) -> Iterator[tuple[Tensor, tuple[Run, Run]]]:
    """Numbers of prompts, int64, at most ``tokens`` tokens of them that memory holds, and their clean and corrupted run."""

    def run(numbers: list[int]) -> tuple[Run, Run]:
        index = torch.tensor(numbers)
        return Run(model.stream, prompts.tokens("clean", index)), Run(
            model.stream, prompts.tokens("corrupted", index)
        )

    fitting = Batches(len(prompts), what)
    for index in prompts.batches(tokens):  # of one length each
        for numbers, runs in fitting.run(index.tolist(), [1] * len(prompts), run):
            yield torch.tensor(numbers), runs


def refuse_broken(batch: Batch, prompts: Prompts) -> None:
    """InputError for a run whose answers are not finite."""
    for name, run in batch.runs().items():
        bad = ~torch.isfinite(run.residual(run.stream.n_layers)[:, -1]).all(dim=1).cpu()
        if bad.any():
            number = int(batch.index[int(bad.nonzero()[0])])
            raise InputError(f"pair {prompts.ids[number]}: its {name} run is not finite")


def baselines(model: Model, prompts: Prompts, batch_tokens: int) -> dict[str, NDArray[np.float64]]:
    """``clean`` and ``corrupted``: [N, 3], p of the correct and of the incorrect answer, logit difference."""
    found = {side: np.empty((len(prompts), len(Answers.names))) for side in ("clean", "corrupted")}
    for batch in batches(model, prompts, batch_tokens):
        for side, which in (("clean", "donor"), ("corrupted", "recipient")):
            found[side][batch.index.numpy()] = measure_run(batch.patching, batch.reading, which).numpy()
    return found
