"""ROUGE as every stage uses it: stemmed, by the rouge-score package."""

from __future__ import annotations

from functools import lru_cache

from rouge_score import rouge_scorer

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@lru_cache
def scorer(measures: tuple[str, ...]) -> rouge_scorer.RougeScorer:
    """A stemmed scorer of ``measures``, built once."""
    return rouge_scorer.RougeScorer(list(measures), use_stemmer=True)
