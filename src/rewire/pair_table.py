"""Build the table of clean/corrupted pairs of a dataset, and read it as tensors."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewire import pair_tasks, salience
from rewire.corruption import Material, corrupt
from rewire.errors import InputError
from rewire.pair_schema import SCHEMA
from rewire.pair_tasks import Task
from rewire.pretrained import context_of, load_tokenizer
from rewire.prompts import Span
from rewire.tables import read_table, write_table

log = logging.getLogger(__name__)


def write_pairs(
    articles: str | Path,
    base: str | Path,
    mode: str,
    settings: Mapping[str, Any],
    path: str | Path,
    language: str = "en",
    task: str = "summary",
) -> None:
    """Write the pairs of the first ``settings["examples"]`` usable articles, corrupted by ``mode``.

    ``base``: model folder whose tokenizer and context are used. ``task``: what is predicted (``pair_tasks.TASKS``).
    ``settings``: examples, salience (measures, and top or threshold), noise_share, seed. An article is usable if its
    other sentences hold at least as many tokens as its salient ones; the same articles are used for every mode.
    Columns: token ids of both runs, where the targets start, replaced and sentence spans, each sentence's score.
    """
    reader, context = load_tokenizer(base), context_of(base)
    rows = read_table(articles, ("id", "article", "summary")).to_pylist()
    built = [pair_tasks.build(task, reader, row, context, language) for row in rows]
    if mode == "resample" and len(built) < 2:
        raise InputError(f"{articles}: resample takes tokens of another article, and there is only one")
    corpus = [token for example in built for token in example.article]
    mask_token = reader.mask_token_id if reader.mask_token_id is not None else reader.eos_token_id
    out: list[dict[str, Any]] = []
    unusable = 0
    for number, (row, example) in enumerate(zip(rows, built, strict=True)):
        if len(out) == settings["examples"]:
            break
        scores, salient, others = split_sentences(reader, example, settings["salience"])
        if not salient or token_count(others) < token_count(salient):
            unusable += 1
            continue
        donor = built[(number + 1) % len(built)].article
        material = Material(
            example.article, salient, others, mask_token, donor, corpus, settings["noise_share"]
        )
        source = random.Random(f"{settings['seed']} {mode} {row['id']}")
        corrupted, spans = corrupt(mode, material, source)
        out.append(
            {
                "id": row["id"],
                "clean": example.completed(example.article),
                "corrupted": example.completed(corrupted),
                "target_start": example.target_start,
                "masked_spans": [list(span) for span in spans],
                "sentence_spans": [list(span) for span in example.sentences],
                "sentence_scores": scores,
            }
        )
    log.info(
        "%s: %d pairs, %d articles passed over (salient sentences are over half of the tokens, or there are none)",
        articles,
        len(out),
        unusable,
    )
    if not out:
        raise InputError(f"{articles}: no article has as many tokens outside its salient sentences as inside")
    write_table(path, out, SCHEMA)


def split_sentences(
    reader: Any, example: Task, rule: Mapping[str, Any]
) -> tuple[list[float], list[Span], list[Span]]:
    """Each sentence's score, the spans of the salient sentences, and those of the others."""
    texts = [str(reader.decode(example.article[start:end])) for start, end in example.sentences]
    scores = salience.score_sentences(texts, example.reference, rule["measures"])
    chosen = salience.salient_sentences(scores, rule)
    salient = [example.sentences[i] for i in chosen]
    return scores, salient, [span for i, span in enumerate(example.sentences) if i not in chosen]


def token_count(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)
