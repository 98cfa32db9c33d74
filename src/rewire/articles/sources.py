"""Articles from a Hub dataset, local files or the built-in newswire world, all to ``id, article, summary``."""

from __future__ import annotations

import csv
import glob
import json
import logging
import math
import reprlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rewire.articles import newswire
from rewire.errors import InputError
from rewire.paths import expand
from rewire.tables import schema, write_table

log = logging.getLogger(__name__)

SCHEMA = schema(id="string", article="string", summary="string")
READERS = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}


def write_articles(dataset: Mapping[str, Any], split: str, path: str | Path) -> None:
    """Write one split of a catalogue entry to a parquet table of id, article, summary.

    ``dataset``: an entry of ``datasets:`` in the config. Rows with an empty article or summary, or an id seen
    before, are dropped and counted in the log. Errors: InputError that names the file or Hub id and the column.
    """
    if dataset["source"] == "newswire":
        origin = f"newswire {split}"
        options = dataset.get("options", {})
        try:
            rows: Iterable[Mapping[str, Any]] = newswire.generate(
                rows=dataset["rows"][split], seed=dataset["seed"], split=split, **options
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{origin}: options {options}: {error}") from error
    else:
        rows, origin = load_rows(dataset, split)
    write_table(path, clean_rows(rows, split, origin), SCHEMA)


def load_rows(dataset: Mapping[str, Any], split: str) -> tuple[Iterable[Mapping[str, Any]], str]:
    """Rows with the keys id (may be None), article, summary, and where they come from."""
    import datasets

    expression = dataset["splits"][split]
    if dataset["source"] == "hub":
        origin = dataset["id"]
        data = load_hub(dataset, expression)
    else:
        name = expression.split("[")[0]
        if name not in dataset["files"]:
            raise InputError(
                f"split {split!r} is {expression!r}, but files: names only {', '.join(dataset['files'])}"
            )
        origin = expand(dataset["files"][name])
        data = load_file(Path(origin), expression.removeprefix(name))
    columns = {"article": "article", "summary": "summary", **dataset.get("columns", {})}
    for column in columns.values():
        if column not in data.column_names:
            raise InputError(f"{origin}: no column {column!r}; it has {', '.join(data.column_names)}")
    for key, column in columns.items():
        if key != "id" and isinstance(
            data.features[column], dict | list | datasets.List | datasets.LargeList
        ):
            raise InputError(f"{origin}: column {column!r} holds {data.features[column]}, not text")
    return ({key: row[column] for key, column in columns.items()} for row in data), origin


def load_hub(dataset: Mapping[str, Any], expression: str) -> Any:
    """A Hub dataset's split (a slice as ``train[:1000]`` is understood), from the local cache when offline."""
    import datasets
    from huggingface_hub import snapshot_download

    name, revision = dataset.get("name"), dataset.get("revision")
    try:
        return datasets.load_dataset(dataset["id"], name, split=expression, revision=revision)
    except (OSError, ValueError, RuntimeError) as error:
        try:  # what ``hf download`` left in the cache, which datasets does not look for
            folder = snapshot_download(
                dataset["id"], repo_type="dataset", revision=revision, local_files_only=True
            )
            return datasets.load_dataset(folder, name, split=expression)
        except (OSError, ValueError, RuntimeError):
            at = f" --revision {revision}" if revision else ""
            raise InputError(
                f"dataset {dataset['id']!r}: {first_line(error)}; without a network, fetch it beforehand with "
                f"'hf download --repo-type dataset {dataset['id']}{at}' and set HF_HUB_OFFLINE=1"
            ) from error


def load_file(path: Path, part: str) -> Any:
    """A local json, jsonl, csv or parquet file as a dataset; ``part`` is a slice as ``[:400]``, or empty for all."""
    import datasets

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix not in READERS:
        raise InputError(f"{path}: unknown ending {path.suffix!r}, expected {', '.join(READERS)}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    with tempfile.TemporaryDirectory() as cache:
        try:
            reader = READERS[path.suffix]
            if reader == "json":
                return part_of(json_table(path), part)
            options: dict[str, Any] = {}
            if reader == "csv":  # cells are text, whatever they look like
                with path.open(newline="", encoding="utf-8") as opened:
                    header = next(csv.reader(opened), [])
                text = datasets.Features(dict.fromkeys(header, datasets.Value("string")))
                options = {"features": text, "keep_default_na": False}
            file = {"rows": glob.escape(str(path))}
            data = datasets.load_dataset(
                reader, data_files=file, split=f"rows{part}", cache_dir=cache, **options
            )
            table = data.with_format("arrow")[:]  # out of the temporary cache, into memory
            table.validate(full=True)  # a string that is no UTF-8 would be found out row by row
            return datasets.Dataset(table, split=data.split)
        except Exception as error:  # datasets wraps every reader's errors in a class of its own
            raise InputError(f"{path}: cannot be read: {first_line(error.__cause__ or error)}") from error


def part_of(table: pa.Table, part: str) -> Any:
    """The rows that a slice as ``[:400]`` or ``[10%:20%]`` takes, as a dataset. Errors: ValueError for any other."""
    import datasets

    (taken,) = datasets.ReadInstruction.from_spec(f"rows{part}").to_absolute({"rows": table.num_rows})
    return datasets.Dataset(table.slice(taken.from_, max(0, taken.to - taken.from_)))


def json_table(path: Path) -> pa.Table:
    """A list of objects, or an object on every line; Arrow's own reader crashes on a line that is ``null``.

    A column whose values are of several kinds is text: what is no text is JSON. Errors: ValueError that names the row.
    """
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is {reprlib.repr(row)}, not an object")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: json_column([row.get(name) for row in rows]) for name in names})


def json_column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values])


def clean_rows(rows: Iterable[Mapping[str, Any]], split: str, origin: str) -> list[dict[str, str]]:
    """Drop empty and duplicate rows, count them in the log. Errors: InputError if none is left."""
    kept: list[dict[str, str]] = []
    seen: set[str] = set()
    empty = duplicates = 0
    for number, row in enumerate(rows):
        given = row.get("id")
        name = f"{split}-{number:06d}" if given is None else str(given)
        article, summary = (text_of(row[key]) for key in ("article", "summary"))
        if not article or not summary:
            empty += 1
        elif name in seen:
            duplicates += 1
        else:
            seen.add(name)
            kept.append({"id": name, "article": article, "summary": summary})
    log.info(
        "%s: %d rows kept, %d empty and %d with a duplicate id dropped", origin, len(kept), empty, duplicates
    )
    if not kept:
        raise InputError(
            f"{origin}: no row with an article and a summary is left ({empty} empty, {duplicates} duplicates)"
        )
    return kept


def text_of(value: Any) -> str:
    """A cell as text; missing values (None, NaN) are empty."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
