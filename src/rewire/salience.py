"""Which sentences of an article carry its summary. Definitions: docs/definitions.md, "Salience"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewire.errors import InputError
from rewire.rouge import scorer

MEASURES = ("rouge1", "rouge2", "rougeL")


def score_sentences(sentences: Sequence[str], summary: str, measures: Sequence[str]) -> list[float]:
    """Mean F of ``measures`` of each sentence against the summary, 0..1."""
    unknown = set(measures) - set(MEASURES)
    if unknown or not measures:
        raise InputError(f"salience measures {list(measures)}: each one of {', '.join(MEASURES)}")
    rouge = scorer(tuple(measures))
    results = [rouge.score(summary, sentence) for sentence in sentences]
    return [float(np.mean([result[measure].fmeasure for measure in measures])) for result in results]


def salient_sentences(scores: Sequence[float], rule: Mapping[str, Any]) -> list[int]:
    """Indices of the salient sentences, in article order.

    ``rule``: ``by`` is ``top`` (the ``value`` best, earlier first among equals) or ``threshold`` (all above ``value``).
    """
    if rule["by"] == "top":
        best = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[: int(rule["value"])]
        return sorted(best)
    return [i for i, score in enumerate(scores) if score > rule["value"]]
