"""Tables of what runs cost. No torch."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewire.whole_file import replacing_file

COLUMNS = ("strategy", "seed", "learning_rate", "steps", "seconds", "peak_memory_mb", "device")


def write_costs(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tab-separated COLUMNS, whole or not at all."""
    with replacing_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_costs(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
