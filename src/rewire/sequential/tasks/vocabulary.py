"""The words of tasks, and a tokenizer with one token a word, for models that are trained from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rewire.sequential.tasks.declared import parts_of
from rewire.sequential.tasks.examples import DEFAULTS, all_examples

EOS, UNKNOWN = "<|endoftext|>", "<|unknown|>"


def words(tasks: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Every word and number in the prompts and answers of ``tasks``: words first, then numbers by size.

    ``settings``: as ``table.write_task`` takes them. Errors: InputError for an unknown task.
    """
    found: set[str] = set()
    for task in (part for name in tasks for part in parts_of(name)):
        for example in all_examples(task, {**DEFAULTS, **settings}):
            found.update(example.prompt.split(), [example.answer])
    numbers = {word for word in found if word.lstrip("-").isdigit()}
    return sorted(found - numbers) + sorted(numbers, key=int)


def word_tokenizer(vocabulary: Iterable[str]) -> PreTrainedTokenizerFast:
    """One token a word of ``vocabulary``, split at spaces; eos is the first token, any other word is unknown."""
    ids = {word: i for i, word in enumerate([EOS, UNKNOWN, *vocabulary])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, bos_token=EOS, pad_token=EOS, unk_token=UNKNOWN
    )
