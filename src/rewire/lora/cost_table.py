"""Tables of what runs cost. No torch."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewire.errors import InputError
from rewire.whole_file import replacing_file

log = logging.getLogger(__name__)
COLUMNS = ("strategy", "seed", "learning_rate", "steps", "seconds", "peak_memory_mb", "device")


def write_costs(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tab-separated COLUMNS, whole or not at all."""
    with replacing_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def there(paths: Sequence[str | Path]) -> list[str | Path]:
    """Those of ``paths`` that exist: logs may have been cleared away, which is no reason to train again."""
    for path in paths:
        if not Path(path).is_file():
            log.warning("%s is not there: its run has no costs", path)
    return [path for path in paths if Path(path).is_file()]


def read_costs(path: str | Path) -> list[dict[str, str]]:
    """The rows of a table of ``write_costs``. Errors: InputError that names a file that is none."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file, delimiter="\t")
            names, rows = tuple(table.fieldnames or ()), list(table)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if names != COLUMNS or any(None in row.values() for row in rows):
        raise InputError(f"{path}: not a table of costs, with the columns {', '.join(COLUMNS)}")
    return rows
