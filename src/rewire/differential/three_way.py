"""Base, fine-tuned and LoRA model side by side: three comparisons on the same examples. No torch.

Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rewire.differential.summary import SCHEMA as SUMMARY
from rewire.differential.summary import Measured, measures, summarize
from rewire.differential.tables import Examples, read_examples
from rewire.errors import InputError
from rewire.tables import schema, write_table

SCHEMA = schema(comparison="string", **{field.name: str(field.type) for field in SUMMARY})
SIDES = (
    "finetuned",
    "lora",
    "between",
)  # fine-tuned against base, LoRA against base, LoRA against fine-tuned


def write_three_way(
    sides: Mapping[str, tuple[str | Path, str | Path]], permutations: int, path: str | Path
) -> None:
    """Rows of ``summary`` for each of SIDES (-> its tables ``layers`` and ``heads``), and ``lora-finetuned``.

    The latter is the paired difference of a measure between the first two: p and q test whether LoRA's is the same.
    Errors: InputError that names the tables if the examples or the models' shapes differ.
    """
    found = {name: read_examples(*sides[name]) for name in SIDES}
    first = found["finetuned"]
    for name, examples in found.items():
        if examples.ids != first.ids or examples.sites != first.sites:
            raise InputError(
                f"{sides[name][0]}: its examples or layers are not those of {sides['finetuned'][0]}"
            )
    compared = {name: measures(examples) for name, examples in found.items()}
    compared["lora-finetuned"] = paired_differences(first, found["lora"])
    rows: list[dict[str, Any]] = [
        {"comparison": name, **row}
        for name, several in compared.items()
        for measured in several
        for row in summarize(measured, permutations)
    ]
    write_table(path, rows, SCHEMA)


def paired_differences(finetuned: Examples, lora: Examples) -> Iterator[Measured]:
    """Each measure of LoRA against base, minus that of fine-tuning against base."""
    for p, q in zip(measures(finetuned), measures(lora), strict=True):
        difference = q.values - p.values
        yield Measured(q.family, q.measure, q.places, difference, difference)
