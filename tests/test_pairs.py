"""TokenPairs: what is refused, how it is batched, where its window starts."""

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.pair_table import SCHEMA
from rewire.pairs import TokenPairs, read_pairs
from rewire.tables import write_table


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.long)


@st.composite
def pairs(draw: st.DrawFn) -> TokenPairs:
    lengths = draw(st.lists(st.integers(2, 12), min_size=1, max_size=9))
    targets = [draw(st.integers(1, length - 1)) for length in lengths]
    width = max(lengths) + draw(st.integers(0, 2))
    clean = torch.arange(len(lengths) * width).view(len(lengths), width)
    corrupted = clean.clone()
    for i, length in enumerate(lengths):
        for position in draw(st.lists(st.integers(0, length - 1), max_size=3)):
            corrupted[i, position] = 10_000
        corrupted[i, length:] = -1  # what is in the padding does not matter
    return TokenPairs(clean, corrupted, torch.tensor(lengths), torch.tensor(targets), clean[:, 0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((ones(2, 3), ones(2, 4)), r"clean \[2, 3\] and corrupted \[2, 4\]"),
        ((ones(0, 3), ones(0, 3)), "N >= 1"),
        ((ones(3), ones(3)), r"must both be \[N, T\]"),
        ((ones(2, 3), ones(2, 3), torch.tensor([3])), r"lengths has shape \[1\], expected \[2\]"),
        ((ones(2, 3), ones(2, 3), torch.tensor([3, 4])), "example 1 has 1 target tokens in 4 of 3"),
        ((ones(2, 3), ones(2, 3), torch.tensor([1, 3])), "example 0"),
        ((ones(2, 3), ones(2, 3), None, 3), "example 0 has 3 target tokens in 3 of 3"),
        ((ones(2, 3), ones(2, 3), None, 0), "example 0 has 0 target tokens"),
        ((ones(2, 3), ones(2, 3), None, torch.tensor([1, 5])), "example 1 has 5 target tokens"),
        ((ones(2, 3), ones(2, 3), None, torch.tensor([[1], [1]])), "target_tokens has shape"),
        ((ones(2, 3), ones(2, 3), None, 1, torch.tensor(1)), r"wrong_token has shape \[\]"),
        ((ones(2, 3), ones(2, 3), None, 1, -ones(2)), "example 0: wrong_token -1 is no token id"),
        ((ones(2, 3).float(), ones(2, 3)), "clean is torch.float32, expected a tensor of integers"),
        ((ones(2, 3), ones(2, 3).bool()), "corrupted is torch.bool, expected a tensor of integers"),
        ((ones(2, 3), ones(2, 3) - torch.eye(2, 3).long() * 4), "example 0: corrupted -3 at position 0"),
        (
            (ones(2, 3).numpy(), ones(2, 3).numpy()),
            "clean is a ndarray, expected a tensor or a list of strings",
        ),
        ((ones(2, 3), ones(2, 3).numpy()), "clean is a Tensor and corrupted a ndarray"),
        ((ones(2, 3), ones(2, 3), [3, 3]), "lengths is list, expected a tensor of integers"),
        ((ones(2, 3), ones(2, 3), torch.tensor([3.0, 3.0])), "lengths is torch.float32"),
        ((ones(2, 3), ones(2, 3), None, 1.0), "target_tokens is float"),
        ((ones(2, 3), ones(2, 3), None, 1, [1, 1]), "example 0: wrong_token is a int, expected a string"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments: tuple, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        TokenPairs(*arguments)
    assert "\n" not in str(error.value)


def test_defaults_are_whole_rows_and_the_last_token() -> None:
    made = TokenPairs(ones(2, 5), ones(2, 5))
    assert made.lengths.tolist() == [5, 5]
    assert made.target_tokens.tolist() == [1, 1]
    assert len(made) == 2


@given(pairs=pairs())
def test_what_is_in_the_padding_and_how_wide_it_is_does_not_matter(pairs: TokenPairs) -> None:
    """Ids that no model has included: -1 and -100 are what others pad with."""
    beyond = torch.arange(pairs.clean.shape[1] + 4) >= pairs.lengths[:, None]
    sides = [
        torch.nn.functional.pad(side, (0, 4)).masked_fill(beyond, -100)
        for side in (pairs.clean, pairs.corrupted)
    ]
    made = TokenPairs(*sides, pairs.lengths, pairs.target_tokens, pairs.wrong_token)
    for field in dataclasses.fields(TokenPairs):
        assert torch.equal(getattr(made, field.name), getattr(pairs, field.name))
    assert made.clean.shape[1] == int(made.lengths.max())


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_any_integers_become_int64(kind: torch.dtype) -> None:
    made = TokenPairs(*[ones(2, 3).to(kind)] * 2, ones(2).to(kind) * 3, ones(2).to(kind), ones(2).to(kind))
    assert {getattr(made, field.name).dtype for field in dataclasses.fields(made)} == {torch.int64}


@given(pairs=pairs(), tokens=st.integers(0, 60))
def test_batches_hold_every_example_once_and_stay_within_the_budget(pairs: TokenPairs, tokens: int) -> None:
    seen: list[int] = []
    for index, batch in pairs.batches(tokens):
        assert len(index) == len(batch) >= 1
        assert len(batch) == 1 or batch.clean.numel() <= tokens
        assert batch.clean.shape[1] == int(batch.lengths.max())
        for row, i in enumerate(index.tolist()):
            length = int(pairs.lengths[i])
            assert batch.lengths[row] == length
            assert batch.target_tokens[row] == pairs.target_tokens[i]
            assert batch.wrong_token[row] == pairs.wrong_token[i]
            assert torch.equal(batch.clean[row, :length], pairs.clean[i, :length])
            assert torch.equal(batch.corrupted[row, :length], pairs.corrupted[i, :length])
        seen += index.tolist()
    assert sorted(seen) == list(range(len(pairs)))


@given(pairs=pairs())
def test_window_starts_at_the_first_thing_that_matters(pairs: TokenPairs) -> None:
    matters = []
    for i in range(len(pairs)):
        length, targets = int(pairs.lengths[i]), int(pairs.target_tokens[i])
        matters += [t for t in range(length) if pairs.clean[i, t] != pairs.corrupted[i, t]]
        matters.append(length - targets - 1)
    assert pairs.window_start() == min(matters)


@given(pairs=pairs())
def test_targets_are_the_last_tokens_read_one_position_earlier(pairs: TokenPairs) -> None:
    targets = pairs.targets()
    expected = [
        (i, t - 1, int(pairs.clean[i, t]))
        for i in range(len(pairs))
        for t in range(int(pairs.lengths[i] - pairs.target_tokens[i]), int(pairs.lengths[i]))
    ]
    found = zip(targets.example.tolist(), targets.position.tolist(), targets.token.tolist(), strict=True)
    assert list(found) == expected
    values = torch.arange(len(expected), dtype=torch.float64)
    means = [
        sum(n for n, (i, _, _) in enumerate(expected) if i == example) / int(pairs.target_tokens[example])
        for example in range(len(pairs))
    ]
    assert torch.allclose(targets.mean_per_example(values), torch.tensor(means, dtype=torch.float64))
    assert [expected[n][0] for n in targets.last().tolist()] == list(range(len(pairs)))


def row(name: str, clean: list[int], corrupted: list[int], target_start: int) -> dict:
    return {
        "id": name,
        "clean": clean,
        "corrupted": corrupted,
        "target_start": target_start,
        "masked_spans": [[0, 1]],
        "sentence_spans": [[0, 1]],
        "sentence_scores": [0.5],
    }


def test_read_pairs(tmp_path: Path) -> None:
    path = tmp_path / "mask.parquet"
    rows = [row("b", [5, 6, 7], [0, 6, 7], 2), row("a", [1, 2, 3, 4], [1, 0, 3, 4], 1)]
    write_table(path, rows, SCHEMA)
    ids, read = read_pairs(path)
    assert ids == ["b", "a"]
    assert read.clean.tolist() == [[5, 6, 7, 0], [1, 2, 3, 4]]
    assert read.corrupted.tolist() == [[0, 6, 7, 0], [1, 0, 3, 4]]
    assert read.lengths.tolist() == [3, 4]
    assert read.target_tokens.tolist() == [1, 3]


def test_a_table_without_pairs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.parquet"
    write_table(path, [], SCHEMA)
    with pytest.raises(InputError, match=r"mask\.parquet"):
        read_pairs(path)
