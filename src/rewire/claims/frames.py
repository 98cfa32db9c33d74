"""The tables of one run, as frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.tables import read_table

Tables = Mapping[str, str | Path]  # name -> parquet file of one run
JUDGED = "judged"  # among them, no file: the variant of a second stage that claims are judged by


class NotRun(Exception):
    """The run does not have a table that the measure reads."""


def frame(tables: Tables, name: str) -> Any:
    if name not in tables:
        raise NotRun(name)
    return read_table(tables[name]).to_pandas()
