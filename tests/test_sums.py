import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rewire import sums
from rewire.errors import InputError
from rewire.pairs import read_pairs
from rewire.tables import read_table

SETTINGS = {"examples": 40, "seed": 0}


def rows(folder, mode, digits=2, **changes):
    path = folder / f"{mode}.parquet"
    sums.write_sums(digits, mode, SETTINGS | changes, path)
    return read_table(path).to_pylist(), path


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("mode", sums.CORRUPTIONS)
def test_answers_are_right_and_only_the_question_differs(tmp_path, mode, digits):
    table, path = rows(tmp_path, mode, digits)
    assert len({row["id"] for row in table}) == 40
    for row in table:
        left, right = map(int, row["id"].split("+"))
        question = row["clean"][: 2 * digits]
        assert "".join(map(str, question)) == f"{left:0{digits}d}{right:0{digits}d}"
        total = int("".join(map(str, reversed(row["clean"][2 * digits :]))))
        assert total == left + right and row["target_start"] == 2 * digits
        differing = [i for i, (a, b) in enumerate(zip(row["clean"], row["corrupted"], strict=True)) if a != b]
        assert differing == [start for start, _ in row["masked_spans"]]
        assert len(differing) > 0 and max(differing) < 2 * digits
        assert mode == "operands" or len(differing) == 1
    ids, pairs = read_pairs(path)
    assert len(ids) == 40 and set(pairs.target_tokens.tolist()) == {digits + 1}


def test_modes_share_their_questions_and_repeat(tmp_path):
    first = [row["clean"] for row in rows(tmp_path, "operands")[0]]
    assert first == [row["clean"] for row in rows(tmp_path, "digit")[0]]
    assert first != [row["clean"] for row in rows(tmp_path, "digit", seed=1)[0]]
    before = (tmp_path / "operands.parquet").read_bytes()
    rows(tmp_path, "operands")
    assert before == (tmp_path / "operands.parquet").read_bytes()


@settings(max_examples=50)
@given(st.integers(1, 4), st.data())
def test_the_sum_by_hand(digits, data):
    left, right = (data.draw(st.integers(0, 10**digits - 1)) for _ in range(2))
    question = sums.digits_of(left, digits) + sums.digits_of(right, digits)
    answer = sums.answer_to(question, digits)
    assert sum(digit * 10**place for place, digit in enumerate(answer)) == left + right


def test_more_examples_than_questions_and_unknown_modes_are_refused(tmp_path):
    with pytest.raises(InputError, match="only 100"):
        sums.write_sums(1, "digit", {"examples": 101, "seed": 0}, tmp_path / "x.parquet")
    with pytest.raises(InputError, match="'mask' is not one of operands, digit"):
        sums.write_sums(1, "mask", SETTINGS, tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())
