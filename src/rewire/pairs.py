"""Clean/corrupted token pairs: the input of every circuit method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.tables import read_table


@dataclass(frozen=True)
class TokenPairs:
    """N examples, right-padded to T tokens; both runs of an example have the same length.

    ``clean``, ``corrupted``: int64 [N, T]. ``lengths``: int64 [N], tokens before the padding (None: no padding).
    ``target_tokens``: how many tokens at the end of each example are predicted, int or int64 [N].
    ``wrong_token``: int64 [N], what ``logit_diff`` sets against the last token, or None.
    Errors: InputError that names the example when shapes, lengths or targets do not fit.
    """

    clean: Tensor
    corrupted: Tensor
    lengths: Tensor | None = None
    target_tokens: int | Tensor = 1
    wrong_token: Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.clean)
        if self.clean.shape != self.corrupted.shape or self.clean.dim() != 2 or n == 0:
            raise InputError(
                f"pairs: clean {list(self.clean.shape)} and corrupted {list(self.corrupted.shape)} must both be [N, T], N >= 1"
            )
        if self.lengths is None:
            object.__setattr__(self, "lengths", torch.full((n,), self.clean.shape[1]))
        if isinstance(self.target_tokens, int):
            object.__setattr__(self, "target_tokens", torch.full((n,), self.target_tokens))
        for name in ("lengths", "target_tokens", "wrong_token"):
            value = getattr(self, name)
            if value is not None and value.shape != (n,):
                raise InputError(f"pairs: {name} has shape {list(value.shape)}, expected [{n}]")
        bad = (self._lengths < 2) | (self._lengths > self.clean.shape[1])
        bad |= (self._targets < 1) | (self._targets >= self._lengths)
        if bad.any():
            i = int(bad.nonzero()[0])
            raise InputError(
                f"pairs: example {i} has {int(self._targets[i])} target tokens in {int(self._lengths[i])} of {self.clean.shape[1]}"
            )

    @property
    def _lengths(self) -> Tensor:
        assert self.lengths is not None
        return self.lengths

    @property
    def _targets(self) -> Tensor:
        assert isinstance(self.target_tokens, Tensor)
        return self.target_tokens

    def __len__(self) -> int:
        return len(self.clean)

    def subset(self, index: Tensor) -> TokenPairs:
        """The examples at ``index`` (int64 [n]), trimmed to the longest of them."""
        length = int(self._lengths[index].max())
        return TokenPairs(
            self.clean[index, :length],
            self.corrupted[index, :length],
            self._lengths[index],
            self._targets[index],
            None if self.wrong_token is None else self.wrong_token[index],
        )

    def to(self, device: torch.device) -> TokenPairs:
        """The same pairs on ``device``."""
        wrong = None if self.wrong_token is None else self.wrong_token.to(device)
        return TokenPairs(
            self.clean.to(device),
            self.corrupted.to(device),
            self._lengths.to(device),
            self._targets.to(device),
            wrong,
        )

    def batches(self, tokens: int) -> Iterator[tuple[Tensor, TokenPairs]]:
        """Batches of at most ``tokens`` padded tokens (one example at least), bucketed by length.

        Yields the examples' indices (int64 [n]) and the examples.
        """
        order = torch.sort(self._lengths, stable=True).indices.tolist()
        batch: list[int] = []
        for i in order:
            if batch and int(self._lengths[i]) * (len(batch) + 1) > tokens:
                yield torch.tensor(batch), self.subset(torch.tensor(batch))
                batch = []
            batch.append(i)
        yield torch.tensor(batch), self.subset(torch.tensor(batch))

    def window_start(self) -> int:
        """First position that matters: the first differing token or the first position a target is read from.

        Before it the two runs are the same in a causal model, so every difference is exactly 0.
        """
        position = torch.arange(self.clean.shape[1], device=self.clean.device)
        differs = (self.clean != self.corrupted) & (position < self._lengths[:, None])
        first_read = int((self._lengths - self._targets).min()) - 1
        return min(int(differs.any(dim=0).float().argmax()), first_read) if differs.any() else first_read

    def targets(self) -> Targets:
        """Where the target tokens are read from, flattened over the batch."""
        position = torch.arange(self.clean.shape[1], device=self.clean.device)
        is_target = (position >= (self._lengths - self._targets)[:, None]) & (
            position < self._lengths[:, None]
        )
        example, at = is_target.nonzero(as_tuple=True)
        return Targets(example, at - 1, self.clean[example, at], self._targets, self.wrong_token)


@dataclass(frozen=True)
class Targets:
    """The N target tokens of a batch of B examples: ``example``, ``position`` (read from), ``token``: int64 [N].

    ``counts``: int64 [B] targets of each example; ``wrong_token``: int64 [B] or None.
    """

    example: Tensor
    position: Tensor
    token: Tensor
    counts: Tensor
    wrong_token: Tensor | None

    def mean_per_example(self, values: Tensor) -> Tensor:
        """[N] -> [B]: mean over each example's targets."""
        total = values.new_zeros(len(self.counts)).index_add(0, self.example, values)
        return total / self.counts

    def last(self) -> Tensor:
        """int64 [B]: index of each example's last target among the N."""
        return self.counts.cumsum(0) - 1


def read_pairs(path: str | Path) -> tuple[list[str], TokenPairs]:
    """The ids and the token pairs of a table written by ``pair_table.write_pairs``; the targets are the summary."""
    rows = read_table(path).to_pylist()
    if not rows:
        raise InputError(f"{path}: no pairs")
    lengths = torch.tensor([len(row["clean"]) for row in rows])
    clean, corrupted = (torch.zeros(len(rows), int(lengths.max()), dtype=torch.long) for _ in range(2))
    for i, row in enumerate(rows):
        clean[i, : lengths[i]] = torch.tensor(row["clean"])
        corrupted[i, : lengths[i]] = torch.tensor(row["corrupted"])
    targets = lengths - torch.tensor([row["target_start"] for row in rows])
    return [row["id"] for row in rows], TokenPairs(clean, corrupted, lengths, targets)
