"""What each corruption may change, for any article."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewire.corruption import CORRUPTIONS, Material, corrupt
from rewire.errors import InputError

MASK = 99
modes = st.sampled_from(sorted(CORRUPTIONS))


@st.composite
def materials(draw: st.DrawFn) -> Material:
    """An article of 1..8 sentences, some of them salient, the others with as many tokens at least."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    edges = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    spans = list(zip(edges, edges[1:], strict=False))
    flags = draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    salient = [span for span, flag in zip(spans, flags, strict=True) if flag]
    others = [span for span, flag in zip(spans, flags, strict=True) if not flag]
    while salient and size(others) < size(salient):
        others = sorted([*others, salient.pop()])
    token = st.integers(0, 98)
    return Material(
        article=draw(st.lists(token, min_size=edges[-1], max_size=edges[-1])),
        salient=salient,
        others=others,
        mask=MASK,
        donor=draw(st.lists(st.integers(200, 209), min_size=1, max_size=30)),
        corpus=draw(st.lists(st.integers(300, 309), min_size=1, max_size=30)),
        share=draw(st.floats(0, 1)),
    )


def size(spans: list[tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans)


def inside(spans: list[tuple[int, int]]) -> set[int]:
    return {i for start, end in spans for i in range(start, end)}


@given(material=materials(), mode=modes, seed=st.integers())
def test_length_is_kept_and_nothing_changes_outside_the_reported_spans(
    material: Material, mode: str, seed: int
) -> None:
    before = list(material.article)
    tokens, spans = corrupt(mode, material, random.Random(seed))
    assert material.article == before
    assert len(tokens) == len(before)
    assert {i for i, (a, b) in enumerate(zip(tokens, before, strict=True)) if a != b} <= inside(spans)
    assert spans == sorted(spans)
    assert len(inside(spans)) == size(spans)  # no overlap
    assert corrupt(mode, material, random.Random(seed)) == (tokens, spans)


@given(material=materials(), seed=st.integers())
def test_mask_and_random_mask_equally_many_tokens_in_disjoint_sentences(
    material: Material, seed: int
) -> None:
    masked, spans = corrupt("mask", material, random.Random(seed))
    control, control_spans = corrupt("random", material, random.Random(seed))
    assert spans == material.salient
    assert masked.count(MASK) == control.count(MASK) == size(material.salient) == size(control_spans)
    assert {i for i, token in enumerate(control) if token == MASK} == inside(control_spans)
    assert not inside(control_spans) & inside(material.salient)


@given(material=materials(), seed=st.integers())
def test_random_masks_whole_sentences_but_for_one(material: Material, seed: int) -> None:
    _, spans = corrupt("random", material, random.Random(seed))
    assert len([span for span in spans if span not in material.others]) <= 1
    assert {start for start, _ in spans} <= {start for start, _ in material.others}


@given(material=materials(), seed=st.integers())
def test_shuffle_keeps_each_sentence_s_tokens(material: Material, seed: int) -> None:
    tokens, spans = corrupt("shuffle", material, random.Random(seed))
    assert spans == material.salient
    for start, end in spans:
        assert Counter(tokens[start:end]) == Counter(material.article[start:end])


@given(material=materials(), seed=st.integers())
def test_resample_takes_the_donor_s_tokens_in_order(material: Material, seed: int) -> None:
    tokens, spans = corrupt("resample", material, random.Random(seed))
    donor = material.donor
    assert spans == material.salient
    for start, end in spans:
        taken = tokens[start:end]
        assert any(
            taken == [donor[(first + i) % len(donor)] for i in range(end - start)]
            for first in range(len(donor))
        )


@given(material=materials(), seed=st.integers())
def test_noise_replaces_its_share_by_corpus_tokens(material: Material, seed: int) -> None:
    tokens, spans = corrupt("noise", material, random.Random(seed))
    assert size(spans) == max(1, round(material.share * len(tokens)))
    assert all(end == start + 1 for start, end in spans)
    assert all(tokens[start] in material.corpus for start, _ in spans)


def test_noise_follows_the_unigram_distribution() -> None:
    material = Material([0] * 4000, [], [(0, 4000)], MASK, [1], [1, 1, 1, 2], 1.0)
    tokens, _ = corrupt("noise", material, random.Random(0))
    assert set(tokens) == {1, 2}
    assert abs(tokens.count(1) / 4000 - 0.75) < 0.03  # 4 standard errors


@pytest.mark.parametrize("mode", ["resample", "shuffle", "random", "noise"])
def test_another_seed_draws_anew(mode: str) -> None:
    sentences = [(i, i + 10) for i in range(0, 200, 10)]
    material = Material(
        list(range(200)), sentences[:8], sentences[8:], MASK, list(range(300, 400)), range(500), 0.5
    )
    drawn = {tuple(corrupt(mode, material, random.Random(seed))[0]) for seed in range(5)}
    assert len(drawn) == 5


def test_an_unknown_mode_lists_the_modes() -> None:
    material = Material([1, 2], [(0, 1)], [(1, 2)], MASK, [1], [1], 0.5)
    with pytest.raises(InputError, match="'swap' is not one of mask, resample, shuffle, random, noise"):
        corrupt("swap", material, random.Random(0))
