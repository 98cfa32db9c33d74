"""Articles from files and the Hub: what is read, what is dropped, what is refused."""

import csv
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rewire.articles.sources import write_articles
from rewire.errors import InputError
from rewire.tables import read_table

SOURCE = Path(__file__).parent.parent.parent / "src"
ROWS = [
    {"key": f"k{n}", "text": f"Article {n}, with a comma.\nSecond line é🎉.", "abstract": f'Summary "{n}"'}
    for n in range(50)
]
COLUMNS = {"id": "key", "article": "text", "summary": "abstract"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """``rows`` in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def entry(
    path: Path | str, expression: str = "news", columns: dict[str, str] | None = COLUMNS
) -> dict[str, Any]:
    """A catalogue entry of one file, called as ``expression`` calls it."""
    name = expression.split("[")[0]
    made: dict[str, Any] = {"source": "files", "files": {name: str(path)}, "splits": {"train": expression}}
    return made if columns is None else made | {"columns": columns}


def articles(dataset: dict[str, Any], tmp_path: Path) -> list[dict[str, str]]:
    out = tmp_path / "out" / "train.parquet"
    write_articles(dataset, "train", out)
    return read_table(out).to_pylist()


def refused(dataset: dict[str, Any], tmp_path: Path, split: str = "train") -> str:
    """The message of the InputError; checks that it is one line and that nothing was written."""
    out = tmp_path / "out" / f"{split}.parquet"
    with pytest.raises(InputError) as error:
        write_articles(dataset, split, out)
    assert len(str(error.value).splitlines()) == 1
    assert not out.exists()
    assert not list(tmp_path.rglob("*.partial"))
    return str(error.value)


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet"])
def test_every_format_gives_the_same_articles(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"rows.{ending}", ROWS)
    found = articles(entry(path), tmp_path)
    assert found == [{"id": r["key"], "article": r["text"], "summary": r["abstract"]} for r in ROWS]


@pytest.mark.parametrize("name", ["all", "news", "train", "my-news.v2"])
def test_slices(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    for part, expected in {
        "": range(50),
        "[:40]": range(40),
        "[40:]": range(40, 50),
        "[10%:20%]": range(5, 10),
        "[-2:]": range(48, 50),
    }.items():
        found = articles(entry(path, name + part), tmp_path)
        assert [row["id"] for row in found] == [f"k{n}" for n in expected], name + part


def test_environment_variables_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "folder" / "rows.csv", ROWS)
    monkeypatch.setenv("MY_ARTICLES", str(tmp_path / "folder"))
    assert "$NOT_SET_HERE/rows.csv" in refused(entry("$NOT_SET_HERE/rows.csv"), tmp_path)
    assert len(articles(entry("${MY_ARTICLES}/rows.csv"), tmp_path)) == 50


def test_default_column_names_and_made_up_ids(tmp_path: Path) -> None:
    rows = [{"article": f"A{n}.", "summary": "S."} for n in range(3)]
    found = articles(entry(write(tmp_path / "rows.json", rows), columns=None), tmp_path)
    assert [row["id"] for row in found] == ["train-000000", "train-000001", "train-000002"]


def test_a_folder_with_brackets_and_a_star_in_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "run [1] v*" / "rows.jsonl", ROWS)
    assert len(articles(entry(path), tmp_path)) == 50


def test_empty_and_duplicate_rows_are_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        ROWS[0],
        ROWS[1] | {"text": ""},
        ROWS[2] | {"abstract": None},
        ROWS[3] | {"text": " \n\t "},
        ROWS[4] | {"key": "k0"},
        ROWS[5],
    ]
    for ending in ("jsonl", "csv", "parquet"):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="rewire"):
            found = articles(entry(write(tmp_path / f"rows.{ending}", rows)), tmp_path)
        assert [row["id"] for row in found] == ["k0", "k5"]
        assert "2 rows kept, 3 empty and 1 with a duplicate id dropped" in caplog.text


def test_csv_cells_are_text(tmp_path: Path) -> None:
    rows = [
        {"key": "007", "text": "1.50", "abstract": "None"},
        {"key": "7", "text": "NA", "abstract": "1e5"},
    ]
    found = articles(entry(write(tmp_path / "rows.csv", rows)), tmp_path)
    assert [tuple(row.values()) for row in found] == [tuple(row.values()) for row in rows]


def test_a_column_of_lists_is_refused_not_printed(tmp_path: Path) -> None:
    rows = [{"key": "a", "text": "An article.", "abstract": ["First point.", "Second point."]}]
    assert "'abstract'" in refused(entry(write(tmp_path / "rows.jsonl", rows)), tmp_path)


def test_missing_numbers_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"key": ["a", "b"], "text": [float("nan"), 1.5], "abstract": ["s", "s"]}), path)
    assert [row["id"] for row in articles(entry(path), tmp_path)] == ["b"]


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet"])
def test_a_missing_column_is_named_with_what_there_is(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"rows.{ending}", ROWS)
    said = refused(entry(path, columns=COLUMNS | {"summary": "highlights"}), tmp_path)
    assert str(path) in said
    assert "'highlights'" in said
    assert "key, text, abstract" in said


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("content", [b"", b"\n", b'{"key": "a", "text": ', b"\xff\xfe\x00 no text \x80"])
def test_empty_and_malformed_files_are_named(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(content)
    assert str(path) in refused(entry(path), tmp_path)


def test_parquet_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "news.parquet"
    broken = pa.array([b"text", b"\xff\xfe"]).view(pa.string())
    pq.write_table(pa.table({"key": ["a", "b"], "text": broken, "abstract": ["s", "s"]}), path)
    with pytest.raises(InputError, match=r"news\.parquet: cannot be read: .*UTF8"):
        write_articles(entry(path), "train", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("key,text,abstract\n")
    assert str(path) in refused(entry(path), tmp_path)


def test_no_rows_left(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [ROWS[0] | {"abstract": " "}, ROWS[1] | {"abstract": " "}])
    said = refused(entry(path), tmp_path)
    assert str(path) in said
    assert "2 empty" in said


def test_missing_files_folders_and_unknown_endings(tmp_path: Path) -> None:
    assert "absent.csv: no such file" in refused(entry(tmp_path / "absent.csv"), tmp_path)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "folder.csv" in refused(entry(folder), tmp_path)
    path = tmp_path / "rows.xlsx"
    path.write_bytes(b"PK")
    said = refused(entry(path), tmp_path)
    assert "'.xlsx'" in said
    assert ".json, .jsonl, .csv, .parquet" in said


@pytest.mark.parametrize("expression", ["other", "news[:x]", "news[:5", "news[5:2]", "news[100:]"])
def test_bad_slices_are_named(tmp_path: Path, expression: str) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    said = refused(entry(path) | {"splits": {"train": expression}}, tmp_path)
    assert str(path) in said or repr(expression) in said


def test_an_error_keeps_the_table_that_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    articles(entry(path), tmp_path)
    path.write_text("{")
    with pytest.raises(InputError):
        write_articles(entry(path), "train", tmp_path / "out" / "train.parquet")
    assert read_table(tmp_path / "out" / "train.parquet").num_rows == 50


def test_same_file_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    for name in ("a", "b"):
        write_articles(entry(path), "train", tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_newswire_world(tmp_path: Path) -> None:
    dataset = {"source": "newswire", "rows": {"train": 3}, "seed": 0}
    assert len(articles(dataset, tmp_path)) == 3


def test_real_articles(material: Path, tmp_path: Path) -> None:
    path = material / "data" / "cnn_dailymail" / "validation500.jsonl"
    columns = {"id": "id", "article": "article", "summary": "highlights"}
    found = articles(entry(path, "news[:40]", columns), tmp_path)
    assert len(found) == 40
    assert all(row["article"] and row["summary"] for row in found)


def offline(tmp_path: Path, dataset: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """``write_articles`` in a process without a network, whose Hugging Face caches are below ``tmp_path``."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nfrom rewire.articles.sources import write_articles\nfrom rewire.jobs import job\n"
        f"with job({str(tmp_path / 'job.log')!r}):\n"
        f"    write_articles(json.loads(sys.argv[1]), 'train', {str(tmp_path / 'train.parquet')!r})\n"
    )
    return subprocess.run(
        [sys.executable, str(script), json.dumps(dataset)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )


HUB = {"source": "hub", "id": "someone/news", "splits": {"train": "train[:40]"}, "columns": COLUMNS}


def test_a_hub_id_without_a_network_says_how_to_run_offline(tmp_path: Path) -> None:
    done = offline(tmp_path, HUB)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "'someone/news'" in done.stderr
    assert "hf download --repo-type dataset someone/news" in done.stderr
    assert "HF_HUB_OFFLINE=1" in done.stderr
    assert not (tmp_path / "train.parquet").exists()


def test_a_downloaded_hub_dataset_is_read_offline(tmp_path: Path) -> None:
    """The layout that ``hf download --repo-type dataset`` leaves, which our error message recommends."""
    repository = tmp_path / "hf" / "hub" / "datasets--someone--news"
    revision = "0123456789abcdef0123456789abcdef01234567"
    write(repository / "snapshots" / revision / "train.jsonl", ROWS)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    done = offline(tmp_path, HUB)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in read_table(tmp_path / "train.parquet").to_pylist()] == [
        f"k{n}" for n in range(40)
    ]


def test_a_hub_dataset_that_is_a_local_directory(tmp_path: Path) -> None:
    write(tmp_path / "news" / "train.jsonl", ROWS)
    local = HUB | {"id": str(tmp_path / "news")}
    assert "nosuch" in refused(local | {"splits": {"train": "nosuch"}}, tmp_path)
    assert len(articles(local, tmp_path)) == 40
