"""Parquet tables that appear whole or not at all, with the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rewire.errors import InputError
from rewire.whole_file import replacing_file


def write_table(
    path: str | Path, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], schema: pa.Schema
) -> None:
    """Write ``rows`` (a list of rows or a mapping of columns) to ``path``; the columns are those of ``schema``.

    Errors: InputError that names the file if it cannot be written.
    """
    build = pa.Table.from_pydict if isinstance(rows, Mapping) else pa.Table.from_pylist
    table = build(rows, schema=schema)
    with replacing_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_table(path: str | Path, columns: Sequence[str] = ()) -> pa.Table:
    """The table at ``path``, which has at least ``columns``.

    Errors: InputError that names the file if it is missing, truncated or no parquet, or the column that it lacks.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder, not a parquet file")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from error
    for name in columns:
        if name not in table.column_names:
            raise InputError(f"{path}: no column {name!r}; it has {', '.join(table.column_names)}")
    return table


def schema(**types: str) -> pa.Schema:
    """Columns in order, types by name: ``schema(step="int64", loss="float64", tokens="list<int64>")``."""
    return pa.schema([(name, as_type(type_)) for name, type_ in types.items()])


def as_type(name: str) -> pa.DataType:
    if name.startswith("list<"):
        return pa.list_(as_type(name[5:-1]))
    return pa.type_for_alias(name)
