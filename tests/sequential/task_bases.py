"""Folders with a tokenizer of one token a number, for tests of tasks."""

from rewire.sequential.tasks import vocabulary
from rewire.sequential.tasks.declared import TASKS

WORDS = {"largest": 20, "negative": True}
ROWS = {"train": 24, "validation": 8, "test": 8}


def word_base(folder, tasks=tuple(TASKS), settings=WORDS):
    vocabulary.word_tokenizer(vocabulary.words(tasks, settings)).save_pretrained(folder)
    return folder


def paths_in(folder):
    return {split: folder / f"{split}.parquet" for split in ROWS}
