"""Build the table of clean/corrupted pairs of a dataset, and read it as tensors."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewire import prompts, salience
from rewire.corruption import Material, corrupt
from rewire.errors import InputError
from rewire.pretrained import context_of, load_tokenizer
from rewire.tables import read_table, schema, write_table

log = logging.getLogger(__name__)

SCHEMA = schema(
    id="string",
    clean="list<int32>",
    corrupted="list<int32>",
    target_start="int32",
    masked_spans="list<list<int32>>",
    sentence_spans="list<list<int32>>",
    sentence_scores="list<double>",
)


def write_pairs(
    articles: str | Path,
    base: str | Path,
    mode: str,
    settings: Mapping[str, Any],
    path: str | Path,
    language: str = "en",
) -> None:
    """Write the pairs of the first ``settings["examples"]`` usable articles, corrupted by ``mode``.

    ``base``: model folder whose tokenizer and context are used.
    ``settings``: examples, salience (measures, and top or threshold), noise_share, seed. An article is usable if its
    other sentences hold at least as many tokens as its salient ones; the same articles are used for every mode.
    Columns: token ids of both runs, where the summary starts, replaced and sentence spans, each sentence's score.
    """
    reader, context = load_tokenizer(base), context_of(base)
    rows = read_table(articles).to_pylist()
    built = [prompts.build(reader, r["id"], r["article"], r["summary"], context, language) for r in rows]
    if mode == "resample" and len(built) < 2:
        raise InputError(f"{articles}: resample takes tokens of another article, and there is only one")
    corpus = [token for prompt in built for token in prompt.article]
    mask_token = reader.mask_token_id if reader.mask_token_id is not None else reader.eos_token_id
    out: list[dict[str, Any]] = []
    unusable = 0
    for number, (row, prompt) in enumerate(zip(rows, built, strict=True)):
        if len(out) == settings["examples"]:
            break
        texts = [str(reader.decode(prompt.article[start:end])) for start, end in prompt.sentences]
        scores = salience.score_sentences(texts, row["summary"], settings["salience"]["measures"])
        chosen = salience.salient_sentences(scores, settings["salience"])
        salient = [prompt.sentences[i] for i in chosen]
        others = [span for i, span in enumerate(prompt.sentences) if i not in chosen]
        if not salient or token_count(others) < token_count(salient):
            unusable += 1
            continue
        donor = built[(number + 1) % len(built)].article
        material = Material(
            prompt.article, salient, others, mask_token, donor, corpus, settings["noise_share"]
        )
        source = random.Random(f"{settings['seed']} {mode} {row['id']}")
        corrupted, spans = corrupt(mode, material, source)
        out.append(
            {
                "id": row["id"],
                "clean": prompt.tokens,
                "corrupted": corrupted + prompt.separator + prompt.summary,
                "target_start": prompt.target_start,
                "masked_spans": [list(span) for span in spans],
                "sentence_spans": [list(span) for span in prompt.sentences],
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


def token_count(spans: Sequence[prompts.Span]) -> int:
    return sum(end - start for start, end in spans)
