"""Which sentences are salient: scores by hand, order, ties, both rules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.salience import salient_sentences, score_sentences

scores = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]) | st.floats(0, 1), max_size=12)


def test_scores_by_hand() -> None:
    # "storm hits town": one of three words of the summary; ROUGE-1 P 1/3, R 1/4, F 2/7; ROUGE-2 0; ROUGE-L as ROUGE-1
    summary = "storm destroyed many homes"
    sentences = [
        "storm hits town",
        "storm destroyed many homes",
        "nothing shared",
        "homes many destroyed storm",
    ]
    one, rest, none, reversed_ = score_sentences(sentences, summary, ["rouge1", "rougeL"])
    assert math.isclose(one, 2 / 7)
    assert rest == 1
    assert none == 0
    assert math.isclose(reversed_, (1 + 1 / 4) / 2)
    assert score_sentences(["storm hits town"], summary, ["rouge2"]) == [0]


def test_words_are_stemmed_and_case_is_ignored() -> None:
    assert score_sentences(["Houses DESTROYED"], "house destroy", ["rouge1"]) == [1]


def test_no_sentences_and_empty_text() -> None:
    assert score_sentences([], "a summary", ["rouge1"]) == []
    assert score_sentences(["", "🎉", "\x00"], "a summary", ["rouge1", "rouge2", "rougeL"]) == [0, 0, 0]


@pytest.mark.parametrize("measures", [[], ["rouge3"], ["rouge1", "bleu"], "rouge1"])
def test_unknown_measures_are_named_with_what_is_allowed(measures: list[str]) -> None:
    with pytest.raises(InputError) as error:
        score_sentences(["a"], "a", measures)
    assert "rouge1, rouge2, rougeL" in str(error.value)
    assert "\n" not in str(error.value)


@given(scores=scores, count=st.integers(1, 15))
def test_top_takes_the_best_in_article_order(scores: list[float], count: int) -> None:
    chosen = salient_sentences(scores, {"by": "top", "value": count})
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, len(scores))
    rest = [i for i in range(len(scores)) if i not in chosen]
    for i in chosen:
        for j in rest:
            assert scores[i] > scores[j] or (scores[i] == scores[j] and i < j)


@given(scores=scores, value=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
def test_threshold_takes_all_above(scores: list[float], value: float) -> None:
    chosen = salient_sentences(scores, {"by": "threshold", "value": value})
    assert [i in chosen for i in range(len(scores))] == [score > value for score in scores]
