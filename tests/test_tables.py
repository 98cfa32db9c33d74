"""Tables have the same bytes for the same rows, and appear whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.tables import as_type, read_table, schema, write_table

SCHEMA = schema(id="string", step="int64", loss="float64", spans="list<list<int32>>")
ROW = {"id": "a", "step": 1, "loss": 0.5, "spans": [[0, 3], [4, 5]]}
# any text that UTF-8 can hold
text = st.text(st.characters(exclude_categories=["Cs"]))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": text,
            "step": st.none() | st.integers(-(2**63), 2**63 - 1),
            "loss": st.none() | st.floats(allow_nan=False),
            "spans": st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=2), max_size=3),
        }
    ),
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_same_rows_same_bytes_and_read_back(rows: list[dict], tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "elsewhere" / "second.parquet"
    write_table(first, rows, SCHEMA)
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    write_table(second, columns, SCHEMA)
    assert first.read_bytes() == second.read_bytes()
    assert read_table(first).to_pylist() == rows
    assert read_table(first).schema == SCHEMA


def test_types_by_name() -> None:
    assert as_type("list<list<int32>>") == pa.list_(pa.list_(pa.int32()))
    assert schema(b="string", a="float64").names == ["b", "a"]


def test_rows_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid):
        write_table(tmp_path / "table.parquet", [ROW, ROW | {"step": "many"}], SCHEMA)
    assert list(tmp_path.rglob("*")) == []


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(table: pa.Table, where: Path, **options: str) -> None:
        Path(where).write_bytes(b"PAR1 half a tab")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(InputError, match=r"table\.parquet: cannot be written: No space left on device$"):
        write_table(tmp_path / "table.parquet", [ROW], SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_keeps_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, [ROW], SCHEMA)

    def interrupted(table: pa.Table, where: Path, **options: str) -> None:
        Path(where).write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_table(path, [ROW, ROW], SCHEMA)
    assert read_table(path).num_rows == 1


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_table_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, [ROW] * 10, SCHEMA)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError) as error:
        read_table(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_table_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.parquet", tmp_path):
        with pytest.raises(InputError) as error:
            read_table(path)
        assert str(path) in str(error.value)


def test_folders_named_like_partitions_add_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "model=gpt2" / "table.parquet"
    write_table(path, [ROW], SCHEMA)
    assert read_table(path).column_names == SCHEMA.names
