"""The scores of every checkpoint of a run, and which checkpoints are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rewire import statistics
from rewire.circuits.ensembles import Ensemble, ensemble, packed
from rewire.circuits.graph import Graph
from rewire.circuits.interchange import read_scores
from rewire.circuits.noise_floor import Resampled, resampled_together
from rewire.errors import InputError


class Comparison(NamedTuple):
    """A ``checkpoint`` of training step ``step`` beside an earlier one; ``reference`` is ``previous`` or ``base``."""

    checkpoint: str
    step: int
    reference: str
    reference_checkpoint: str

    @property
    def pair(self) -> tuple[str, str]:
        """(earlier, later); of the first checkpoint after the base the same against either reference."""
        return self.reference_checkpoint, self.checkpoint


@dataclass(frozen=True)
class Trajectory:
    """Checkpoints in training order, the base first: ``scores`` name -> float32 [N, edges], ``steps`` name -> step.

    ``settings``: fraction (edges of every circuit, a share of the graph's), resamples, random, controls (same_model,
    rewired), alpha, seed.
    """

    scores: Mapping[str, Tensor]
    graph: Graph
    steps: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Edges of every circuit that is compared."""
        return max(1, round(self.settings["fraction"] * self.graph.n_edges))

    @property
    def n(self) -> int:
        """Examples."""
        return len(next(iter(self.scores.values())))

    @property
    def can_resample(self) -> bool:
        return self.n >= statistics.MINIMUM

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every checkpoint against the previous one and against the base."""
        names = list(self.scores)
        return [
            Comparison(name, self.steps[name], reference, other)
            for i, name in enumerate(names[1:], start=1)
            for reference, other in (("previous", names[i - 1]), ("base", names[0]))
        ]

    @cached_property
    def circuits(self) -> dict[str, Ensemble]:
        """Each checkpoint's circuit, an ensemble of one."""
        means = {name: scores.mean(dim=0, keepdim=True) for name, scores in self.scores.items()}
        return {name: ensemble(mean, self.graph, self.size) for name, mean in means.items()}

    @cached_property
    def resampled(self) -> Resampled:
        """Every pair that is compared, and the noise floor of every checkpoint."""
        return self.resample(list(self.pairs()))

    def resample(self, pairs: Sequence[tuple[str, str]], floors: bool = True) -> Resampled:
        """Change of each measure, [resamples], for samples of the examples: of ``pairs``, and of each checkpoint's floor."""
        if not self.can_resample:
            return Resampled({pair: {} for pair in pairs}, {name: {} for name in self.scores})
        named = {name for pair in pairs for name in pair}
        scores = {name: values for name, values in self.scores.items() if floors or name in named}
        sampling = self.graph, self.size, self.settings["resamples"], self.settings["seed"]
        return resampled_together(scores, pairs, *sampling, floors=floors)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each pair of checkpoints that is compared, once."""
        yield from dict.fromkeys(comparison.pair for comparison in self.comparisons)


def read_trajectory(
    files: Mapping[str, str | Path], steps: Mapping[str, int], settings: Mapping[str, Any]
) -> Trajectory:
    """The scores files of the checkpoints; one that lacks the scores of each example counts as one example.

    Errors: InputError that names the file whose scores are no edges' or not finite, and the checkpoints whose graphs or
    numbers of examples differ.
    """
    graphs, scores = {}, {}
    for name, path in files.items():
        read, _ = read_scores(path)
        if read.level != "edge":
            raise InputError(f"{path}: scores of level {read.level!r}, expected those of edges")
        graphs[name] = read.graph
        scores[name] = packed(read.values, read.graph)[None] if read.examples is None else read.examples
        if not torch.isfinite(scores[name]).all():
            raise InputError(
                f"{path}: example {int((~scores[name].isfinite()).any(dim=1).nonzero()[0])}: a score is not finite"
            )
    examples = {name: len(kept) for name, kept in scores.items()}
    for what, values in (("graphs", graphs), ("numbers of examples", examples)):
        if len(set(values.values())) != 1:
            raise InputError(f"checkpoints {', '.join(files)}: their {what} differ")
    return Trajectory(scores, next(iter(graphs.values())), steps, settings)
