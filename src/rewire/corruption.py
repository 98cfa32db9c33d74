"""Replace sentences token for token, so that a corrupted article differs from the clean one there and nowhere else.

Modes and their definitions: docs/definitions.md, "Pairs".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewire.errors import InputError
from rewire.prompts import Span


@dataclass(frozen=True)
class Material:
    """What a corruption may draw on.

    ``article``: the clean tokens. ``salient``, ``others``: token spans of its sentences. ``mask``: the masking token.
    ``donor``: tokens of another article. ``corpus``: tokens of many articles (their unigram distribution).
    ``share``: share of tokens that ``noise`` replaces.
    """

    article: list[int]
    salient: list[Span]
    others: list[Span]
    mask: int
    donor: list[int]
    corpus: Sequence[int]
    share: float


Corrupted = tuple[list[int], list[Span]]  # tokens, replaced spans


def mask(material: Material, source: random.Random) -> Corrupted:
    """Salient sentences become the mask token."""
    return fill(material, material.salient, lambda span: [material.mask] * (span[1] - span[0]))


def resample(material: Material, source: random.Random) -> Corrupted:
    """Salient sentences become tokens of another article, cut or tiled to length."""

    def draw(span: Span) -> list[int]:
        length = span[1] - span[0]
        start = source.randrange(len(material.donor))
        return [material.donor[(start + i) % len(material.donor)] for i in range(length)]

    return fill(material, material.salient, draw)


def shuffle(material: Material, source: random.Random) -> Corrupted:
    """Each salient sentence's own tokens in random order."""

    def permute(span: Span) -> list[int]:
        return source.sample(material.article[span[0] : span[1]], span[1] - span[0])

    return fill(material, material.salient, permute)


def random_sentences(material: Material, source: random.Random) -> Corrupted:
    """As many tokens as ``mask`` replaces become the mask token, in sentences that are not salient.

    Whole sentences in random order; the last one only as far as the count goes.
    """
    left = sum(end - start for start, end in material.salient)
    chosen: list[Span] = []
    for start, end in source.sample(material.others, len(material.others)):
        if left:
            taken = min(left, end - start)
            chosen.append((start, start + taken))
            left -= taken
    return fill(material, sorted(chosen), lambda span: [material.mask] * (span[1] - span[0]))


def noise(material: Material, source: random.Random) -> Corrupted:
    """A share of all article tokens, one at least, at random positions, become tokens drawn from the corpus."""
    count = max(1, round(material.share * len(material.article)))
    positions = sorted(source.sample(range(len(material.article)), count))
    return fill(material, [(p, p + 1) for p in positions], lambda span: [source.choice(material.corpus)])


CORRUPTIONS: dict[str, Callable[[Material, random.Random], Corrupted]] = {
    "mask": mask,
    "resample": resample,
    "shuffle": shuffle,
    "random": random_sentences,
    "noise": noise,
}


def corrupt(mode: str, material: Material, source: random.Random) -> Corrupted:
    """The corrupted article's tokens, as many as the clean one has, and the spans that were replaced."""
    if mode not in CORRUPTIONS:
        raise InputError(f"corruption {mode!r} is not one of {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[mode](material, source)


def fill(material: Material, spans: list[Span], replacement: Callable[[Span], list[int]]) -> Corrupted:
    tokens = list(material.article)
    for start, end in spans:
        tokens[start:end] = replacement((start, end))
    return tokens, spans
