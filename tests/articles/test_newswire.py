"""The newswire world: the same arguments give the same text, and every article is a fair small task."""

import hashlib
import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.articles import newswire

KINDS = {
    "person": newswire.LAST_NAMES,
    "place": newswire.PLACES,
    "organisation": newswire.ORGANISATIONS,
    "number": newswire.NUMBERS,
}
DIGEST = "a82e46085d90121d84db904b820726c409077220a617dfb648b136db265ac0c0"
seeds = st.integers(min_value=0, max_value=10**6)


def words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, split=st.sampled_from(["train", "validation", "test"]), rows=st.integers(0, 20))
def test_same_arguments_give_same_rows(seed: int, split: str, rows: int) -> None:
    made = newswire.generate(rows, seed, split)
    assert made == newswire.generate(rows, seed, split)
    assert [row["id"] for row in made] == [f"newswire-{split}-{number:06d}" for number in range(1, rows + 1)]
    assert made[: rows // 2] == newswire.generate(rows // 2, seed, split)


def test_articles_are_unique_and_splits_and_seeds_share_none() -> None:
    calls = [(0, "train"), (0, "validation"), (0, "test"), (1, "train")]
    articles = [row["article"] for seed, split in calls for row in newswire.generate(1000, seed, split)]
    assert len(set(articles)) == len(articles) == 4000


def test_text_is_pinned() -> None:
    """A change of the text changes every result of the built-in world, so it should be meant."""
    made = json.dumps(newswire.generate(200, seed=0, split="test"))
    assert hashlib.sha256(made.encode()).hexdigest() == DIGEST


@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_every_summary_fact_recurs_and_has_a_recurring_rival(seed: int) -> None:
    for row in newswire.generate(10, seed, "test"):
        told = newswire.facts(row["summary"])
        counts = Counter(newswire.facts(row["article"]))
        for values in KINDS.values():
            salient = [fact for fact in told if fact in values]
            assert len(salient) == 1
            assert counts[salient[0]] >= 2
            assert any(counts[value] >= 2 for value in values if value != salient[0])


@settings(max_examples=25, deadline=None)
@given(seed=seeds, side_notes=st.integers(0, 3), fillers=st.integers(0, 4))
def test_text_is_plain_and_bounded(seed: int, side_notes: int, fillers: int) -> None:
    for row in newswire.generate(10, seed, "train", side_notes=side_notes, fillers=fillers):
        article, summary = row["article"], row["summary"]
        assert (article + summary).isascii() and (article + summary).isprintable()
        extra = side_notes + fillers
        assert 70 + 5 * extra <= len(words(article)) <= 105 + 14 * extra
        assert 12 <= len(words(summary)) <= 22
        assert len(newswire.sentences(article)) == 6 + extra
        assert " ".join(newswire.sentences(article)) == article


def test_vocabulary_is_small_and_numbers_are_single_words() -> None:
    rows = newswire.generate(2000, seed=3, split="train")
    vocabulary = {word for row in rows for word in words(row["article"] + " " + row["summary"])}
    assert 250 <= len(vocabulary) <= 500


def test_position_gives_nothing_away() -> None:
    """The first fact of its kind in the article is the right one about half of the time."""
    rows = newswire.generate(2000, seed=4, split="train")
    first = 0
    for row in rows:
        person = next(fact for fact in newswire.facts(row["summary"]) if fact in newswire.LAST_NAMES)
        people = [fact for fact in newswire.facts(row["article"]) if fact in newswire.LAST_NAMES]
        first += people[0] == person
    assert 0.4 < first / len(rows) < 0.6


def test_no_decoy_is_marked_when_all_are_plain() -> None:
    marks = {"near", "Near", "old", "only"}
    plain = newswire.generate(100, seed=5, plain_decoys=1.0, side_notes=0, fillers=0)
    marked = newswire.generate(100, seed=5, plain_decoys=0.0, side_notes=0, fillers=0)
    assert not any(marks & set(words(row["article"])) for row in plain)
    assert all(len(marks & set(words(row["article"]))) >= 3 for row in marked)


def test_salient_sentences_are_less_than_half_of_the_words() -> None:
    """The three sentences with most facts of the summary tell all of them in under half of the words."""
    for row in newswire.generate(200, seed=6, split="test"):
        told = set(newswire.facts(row["summary"]))
        ranked = sorted(
            newswire.sentences(row["article"]), key=lambda one: -len(told & set(newswire.facts(one)))
        )
        salient = " ".join(ranked[:3])
        assert told <= set(newswire.facts(salient))
        assert not told & set(newswire.facts(" ".join(ranked[3:])))
        assert len(words(salient)) < len(words(row["article"])) / 2


def test_facts_come_in_order_with_repeats() -> None:
    text = "Anna Keller left Corby. In Corby, Keller's 27 men of Titan stayed until 1927."
    assert newswire.facts(text) == ["Keller", "Corby", "Corby", "Keller", "27", "Titan", "1927"]
    assert newswire.facts("Anna saw nobody.") == []


def test_fact_tables_do_not_overlap() -> None:
    names = [*newswire.FIRST_NAMES, *(value for values in KINDS.values() for value in values)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": -1}, "rows must be a whole number, 0 or more, not -1"),
        ({"rows": 2.0}, "rows must be a whole number, 0 or more, not 2.0"),
        ({"rows": True}, "rows must be a whole number, 0 or more, not True"),
        ({"seed": "0"}, "seed must be a whole number, not '0'"),
        ({"split": ""}, "split must be letters, digits, '-' or '_', not ''"),
        ({"split": "a b"}, "split must be letters, digits, '-' or '_', not 'a b'"),
        ({"side_notes": 99}, "side_notes must be at most 6, not 99"),
        ({"fillers": -2}, "fillers must be a whole number, 0 or more, not -2"),
        ({"plain_decoys": 1.5}, "plain_decoys must be a share from 0 to 1, not 1.5"),
        ({"fillers": 13}, "fillers must be at most 12, not 13"),
    ],
)
def test_bad_arguments_raise_one_clear_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        newswire.generate(**{"rows": 1, "seed": 0, **options})
    assert str(caught.value) == message
