"""Clean/corrupted token pairs: the input of every circuit method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import torch
from torch import Tensor

from rewire.batches import Batches
from rewire.errors import InputError
from rewire.pair_schema import SCHEMA
from rewire.tables import read_table
from rewire.token_strings import encode_pairs, single_tokens

Result = TypeVar("Result")


@dataclass(frozen=True, init=False)
class TokenPairs:
    """N examples, right-padded to T tokens; both runs of an example have the same length.

    ``clean``, ``corrupted``: int64 [N, T]. ``lengths``: int64 [N], tokens before the padding.
    ``target_tokens``: int64 [N], how many tokens at the end of each example are predicted.
    ``wrong_token``: int64 [N], what ``logit_diff`` sets against the last token, or None.
    T is the longest example's length and the padding is 0, whatever the padding was that they were made from.
    """

    clean: Tensor
    corrupted: Tensor
    lengths: Tensor
    target_tokens: Tensor
    wrong_token: Tensor | None

    def __init__(
        self,
        clean: Tensor | Sequence[str],
        corrupted: Tensor | Sequence[str],
        lengths: Tensor | None = None,
        target_tokens: int | Tensor = 1,
        wrong_token: Tensor | Sequence[str] | None = None,
        tokenizer: Any = None,
    ) -> None:
        """From integer tensors [N, T], or from two lists of N strings and the model's tokenizer.

        ``lengths`` [N]: None for no padding, or for strings. ``target_tokens``: one number for all examples or [N].
        ``wrong_token``: ids [N], or N strings of one token each. ``tokenizer``: how strings are encoded is said in
        ``rewire.token_strings``; with tensors it serves to check that the ids are in its vocabulary.
        Errors: InputError that names the example when shapes, lengths, targets, ids or texts do not fit.
        """
        if not isinstance(clean, Tensor) and not isinstance(corrupted, Tensor):
            if lengths is not None:
                raise InputError("pairs: lengths are given, but those of texts follow from their tokens")
            clean, corrupted, lengths = encode_pairs(tokenizer, clean, corrupted)
        elif not isinstance(clean, Tensor) or not isinstance(corrupted, Tensor):
            kinds = f"clean is a {type(clean).__name__} and corrupted a {type(corrupted).__name__}"
            raise InputError(f"pairs: {kinds}, expected two tensors or two lists of strings")
        if clean.shape != corrupted.shape or clean.dim() != 2 or len(clean) == 0:
            raise InputError(
                f"pairs: clean {list(clean.shape)} and corrupted {list(corrupted.shape)} must both be [N, T], N >= 1"
            )
        if wrong_token is not None:
            if not isinstance(wrong_token, Tensor):
                wrong_token = single_tokens(tokenizer, "wrong_token", wrong_token)
            wrong_token = per_example("wrong_token", wrong_token, clean)
        lengths = per_example("lengths", clean.shape[1] if lengths is None else lengths, clean)
        targets = per_example("target_tokens", target_tokens, clean)
        check_lengths(lengths, targets, clean.shape[1])
        width = int(lengths.max())
        padding = torch.arange(width, device=clean.device) >= lengths[:, None]
        ids = {
            "clean": clean[:, :width].masked_fill(padding, 0),
            "corrupted": corrupted[:, :width].masked_fill(padding, 0),
            "wrong_token": wrong_token,
        }
        words = None if tokenizer is None else len(tokenizer)
        checked = {name: None if value is None else as_ids(name, value, words) for name, value in ids.items()}
        for name, value in {**checked, "lengths": lengths, "target_tokens": targets}.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.clean)

    def subset(self, index: Tensor) -> TokenPairs:
        """The examples at ``index`` (int64 [n]), trimmed to the longest of them."""
        return TokenPairs(
            self.clean[index],
            self.corrupted[index],
            self.lengths[index],
            self.target_tokens[index],
            None if self.wrong_token is None else self.wrong_token[index],
        )

    def to(self, device: torch.device) -> TokenPairs:
        """The same pairs on ``device``."""
        wrong = None if self.wrong_token is None else self.wrong_token.to(device)
        return TokenPairs(
            self.clean.to(device),
            self.corrupted.to(device),
            self.lengths.to(device),
            self.target_tokens.to(device),
            wrong,
        )

    def batches(self, tokens: int) -> Iterator[tuple[Tensor, TokenPairs]]:
        """Batches of at most ``tokens`` padded tokens (one example at least), bucketed by length.

        Yields the examples' indices (int64 [n]) and the examples.
        """
        yield from self.in_batches(tokens, lambda _, batch: batch, "pairs")

    def in_batches(
        self, tokens: int, work: Callable[[Tensor, TokenPairs], Result], what: str
    ) -> Iterator[tuple[Tensor, Result]]:
        """The indices of each of ``batches``, and what ``work`` makes of them and their examples.

        A batch that does not fit in memory is halved and done again: see ``rewire.batches``, also for ``what``.
        """
        order = torch.sort(self.lengths, stable=True).indices.tolist()

        def of_examples(batch: list[int]) -> Result:
            index = torch.tensor(batch)
            return work(index, self.subset(index))

        for batch, result in Batches(tokens, what).run(order, self.lengths.tolist(), of_examples):
            yield torch.tensor(batch), result

    def window_start(self) -> int:
        """First position that matters: the first differing token or the first position a target is read from.

        Before it the two runs are the same in a causal model, so every difference is exactly 0.
        """
        position = torch.arange(self.clean.shape[1], device=self.clean.device)
        differs = (self.clean != self.corrupted) & (position < self.lengths[:, None])
        first_read = int((self.lengths - self.target_tokens).min()) - 1
        return min(int(differs.any(dim=0).float().argmax()), first_read) if differs.any() else first_read

    def targets(self) -> Targets:
        """Where the target tokens are read from, flattened over the batch."""
        position = torch.arange(self.clean.shape[1], device=self.clean.device)
        is_target = (position >= (self.lengths - self.target_tokens)[:, None]) & (
            position < self.lengths[:, None]
        )
        example, at = is_target.nonzero(as_tuple=True)
        return Targets(example, at - 1, self.clean[example, at], self.target_tokens, self.wrong_token)


def per_example(name: str, value: int | Tensor, clean: Tensor) -> Tensor:
    """int64 [N] on the device of ``clean`` [N, T], from one integer for all examples or an integer tensor [N]."""
    if isinstance(value, int):
        return torch.full((len(clean),), value, device=clean.device)
    check_integers(name, value)
    if value.shape != (len(clean),):
        raise InputError(f"pairs: {name} has shape {list(value.shape)}, expected [{len(clean)}]")
    return value.to(clean.device, torch.long)


def check_integers(name: str, value: Any) -> None:
    """InputError unless ``value`` is a tensor of integers."""
    kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
    if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex() or kind is torch.bool:
        raise InputError(f"pairs: {name} is {kind}, expected a tensor of integers")


def check_lengths(lengths: Tensor, targets: Tensor, width: int) -> None:
    """InputError unless every example has a token to read from before its targets, within ``width`` tokens."""
    bad = (lengths > width) | (targets < 1) | (targets >= lengths)
    if bad.any():
        i = int(bad.nonzero()[0])
        raise InputError(
            f"pairs: example {i} has {int(targets[i])} target tokens in {int(lengths[i])} of {width}"
        )


def as_ids(name: str, tokens: Tensor, words: int | None) -> Tensor:
    """int64 token ids from integers [N, T] or [N]. Errors: InputError for one that is negative or beyond ``words``."""
    check_integers(name, tokens)
    bad = tokens < 0 if words is None else (tokens < 0) | (tokens >= words)
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        position = f" at position {place[1]}" if len(place) > 1 else ""
        among = "" if words is None else f" of the tokenizer's {words}"
        raise InputError(
            f"pairs: example {place[0]}: {name} {int(tokens[place])}{position} is no token id{among}"
        )
    return tokens.long()


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
    """The ids and the token pairs of a table written by ``pair_table.write_pairs``; the targets are the summary.

    Errors: InputError that names the file and the column or example: missing, of another type, pairs that do not fit.
    """
    rows = checked_rows(path, ("id", "clean", "corrupted", "target_start"))
    lengths = torch.tensor([len(row["clean"]) for row in rows])
    clean, corrupted = (torch.zeros(len(rows), int(lengths.max()), dtype=torch.long) for _ in range(2))
    for i, row in enumerate(rows):
        if len(row["corrupted"]) != lengths[i]:
            raise InputError(
                f"{path}: example {i}: {lengths[i]} clean and {len(row['corrupted'])} corrupted tokens"
            )
        clean[i, : lengths[i]] = torch.tensor(row["clean"])
        corrupted[i, : lengths[i]] = torch.tensor(row["corrupted"])
    targets = lengths - torch.tensor([row["target_start"] for row in rows])
    try:
        return [row["id"] for row in rows], TokenPairs(clean, corrupted, lengths, targets)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def checked_rows(path: str | Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Those columns of a table of pairs, as rows; InputError unless they have values of their types everywhere."""
    table = read_table(path, columns)
    if not table.num_rows:
        raise InputError(f"{path}: no pairs")
    checked = {}
    for name in columns:
        try:
            column = table[name].combine_chunks().cast(SCHEMA.field(name).type)
        except pa.ArrowException as error:
            raise InputError(f"{path}: column {name!r}: {str(error).splitlines()[0]}") from error
        if column.null_count or (pa.types.is_list(column.type) and column.flatten().null_count):
            raise InputError(f"{path}: column {name!r} has values that are missing")
        checked[name] = column
    return pa.table(checked).to_pylist()
