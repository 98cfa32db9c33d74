"""Write summaries with a model and measure them. Definitions: docs/definitions.md, "Summaries"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencex
import torch

from rewire import prompts
from rewire.batches import Batches
from rewire.errors import InputError
from rewire.pretrained import context_length, load_tokenizer, load_transformer
from rewire.progress import bar
from rewire.rouge import ROUGE, scorer
from rewire.tables import read_table, schema, write_table

COLUMNS = {
    "id": "string",
    "generated": "string",
    "reference": "string",
    **dict.fromkeys(ROUGE, "float64"),
    "facts_generated": "int32",
    "facts_reference": "int32",
    "facts_right": "int32",
}
SCHEMA = schema(**COLUMNS)
OF_SEEDS = schema(seed="int32", **COLUMNS)


def write_summaries(
    model: str | Path,
    articles: str | Path,
    settings: Mapping[str, Any],
    path: str | Path,
    language: str = "en",
) -> None:
    """Summarize the first ``settings["examples"]`` articles; one row an article with its measures.

    ``settings``: examples, batch_size, max_new_tokens, beams. ROUGE is F, 0..100, stemmed; facts are counts.
    """
    write_table(path, summarized(model, None, articles, settings, language), SCHEMA)


def write_seeds_summaries(
    model: str | Path,
    adapters: Mapping[int, str | Path],
    articles: str | Path,
    settings: Mapping[str, Any],
    path: str | Path,
    language: str = "en",
) -> None:
    """The same by the ``model`` with each of the ``adapters``, by seed: one row a seed and article."""
    rows = [
        {"seed": seed, **row}
        for seed, adapter in adapters.items()
        for row in summarized(model, adapter, articles, settings, language)
    ]
    write_table(path, rows, OF_SEEDS)


def summarized(
    model: str | Path,
    adapter: str | Path | None,
    articles: str | Path,
    settings: Mapping[str, Any],
    language: str,
) -> list[dict[str, Any]]:
    """The rows of one model: SCHEMA."""
    transformer: Any = load_transformer(model, adapter)
    tokenizer = load_tokenizer(model)
    if torch.cuda.is_available():
        transformer = transformer.to("cuda")
    rows = read_table(articles, ("id", "article", "summary")).slice(0, settings["examples"]).to_pylist()
    context = context_length(transformer)
    room = context - settings["max_new_tokens"]
    if room < 1:
        raise InputError(
            f"max_new_tokens {settings['max_new_tokens']} leaves no room in a context of {context} tokens"
        )
    questions = [prompts.question(tokenizer, row["article"], room, language) for row in rows]
    sizes = settings["batch_size"], settings["max_new_tokens"], settings["beams"]
    texts = generate(transformer, tokenizer, questions, *sizes)
    out = []
    for row, text in zip(rows, texts, strict=True):
        measured = measure(text, row["summary"], row["article"], language)
        out.append({"id": row["id"], "generated": text, "reference": row["summary"], **measured})
    return out


@torch.inference_mode()
def generate(
    transformer: Any,
    tokenizer: Any,
    questions: Sequence[Sequence[int]],
    batch_size: int,
    max_new_tokens: int,
    beams: int = 1,
) -> list[str]:
    """Continuations of ``questions`` (token ids), up to eos: greedy, or the best of ``beams`` beams.

    In batches of similar length, with a key-value cache.
    """
    order = sorted(range(len(questions)), key=lambda i: len(questions[i]))
    texts = [""] * len(questions)
    eos = tokenizer.eos_token_id

    def write(batch: list[int]) -> list[str]:
        width = max(len(questions[i]) for i in batch)
        ids = torch.full((len(batch), width), eos)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, i in enumerate(batch):  # left-padded: every question ends where generation begins
            ids[row, width - len(questions[i]) :] = torch.tensor(questions[i])
            mask[row, width - len(questions[i]) :] = 1
        written = transformer.generate(
            input_ids=ids.to(transformer.device),
            attention_mask=mask.to(transformer.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=beams,
            eos_token_id=eos,
            pad_token_id=eos,
            cache_implementation="static",  # one that grows is copied whole at every token
            disable_compile=True,
        )
        return [tokenizer.decode(row[width:], skip_special_tokens=True).strip() for row in written]

    with bar(len(questions), "summaries", "article") as progress:
        for batch, found in Batches(batch_size, "summaries").run(order, [1] * len(order), write):
            for i, text in zip(batch, found, strict=True):
                texts[i] = text
            progress.update(len(batch))
    return texts


def measure(generated: str, reference: str, article: str = "", language: str = "en") -> dict[str, float]:
    """ROUGE F of 0..100 and the counts of names and numbers: generated, in the reference, right (in both)."""
    result = scorer(ROUGE).score(lines(reference, language), lines(generated, language))
    known = names_in(article)
    facts_generated, facts_reference = Counter(facts(generated, known)), Counter(facts(reference, known))
    return {
        **{name: 100 * result[name].fmeasure for name in ROUGE},
        "facts_generated": facts_generated.total(),
        "facts_reference": facts_reference.total(),
        "facts_right": (facts_generated & facts_reference).total(),
    }


def lines(text: str, language: str) -> str:
    """One sentence a line, as ROUGE-Lsum reads it."""
    return "\n".join(sentence.strip() for sentence in sentencex.segment(language, text))


WORD = re.compile(r"[^\W\d_][\w'-]*|\d[\d.,]*\d|\d")
SENTENCE_START = re.compile(r"(?:^|[.!?:\n])[\s\"'(]*$")


def facts(text: str, known: Collection[str] = ()) -> list[str]:
    """Names and numbers of a text, in order, with repeats: digits, and capitalised words inside a sentence.

    At the start of a sentence a capital does not tell a name from any other word: such a word counts only if it is
    among the ``known`` names, or stands inside a sentence too.
    """
    inside, first = capitals_and_numbers(text)
    names = {word for _, word in inside} | set(known)
    return [word for _, word in sorted(inside + [item for item in first if item[1] in names])]


def names_in(article: str) -> set[str]:
    """The capitalised words that an article has inside a sentence."""
    return {word for _, word in capitals_and_numbers(article)[0] if not word[0].isdigit()}


def capitals_and_numbers(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """(position, word) of the numbers and capitalised words inside sentences, and of capitals that open a sentence."""
    inside: list[tuple[int, str]] = []
    first: list[tuple[int, str]] = []
    for match in WORD.finditer(text):
        word = match.group()
        if word[0].isdigit():
            inside.append((match.start(), word))
        elif word[0].isupper():
            at_start = SENTENCE_START.search(text[: match.start()])
            (first if at_start else inside).append((match.start(), word))
    return inside, first
