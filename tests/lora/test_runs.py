"""The table of runs, against numbers by hand."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lora.bakeoff_runs import write_run, write_summaries

from rewire.errors import InputError
from rewire.lora.runs import SCHEMA, read_runs, write_runs
from rewire.tables import read_table

LOSSES = {
    ("standard", 0): [4.0, 3.0, 2.0, 2.5],
    ("standard", 1): [4.0, 3.0, 2.4],
    ("circuit", 0): [4.0, 2.2, 2.1],  # standard's best loss with this seed is 2.0
    ("circuit", 1): [4.0, None, 2.3],
    ("circuit", 2): [4.0, 2.2, 2.1],  # standard has no such seed: the mean of its two, 2.2
}


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[dict, dict]:
    summaries = {
        name: write_summaries(tmp_path / f"{name}.parquet", [10.0 * i, 20.0 * i], name[1])
        for i, name in enumerate(LOSSES, start=1)
    }
    folders = {name: write_run(tmp_path / f"run-{name}", name, losses) for name, losses in LOSSES.items()}
    return summaries, folders


def test_rows(inputs: tuple[dict, dict], tmp_path: Path) -> None:
    write_runs(read_runs(*inputs), tmp_path / "runs.parquet")
    table = read_table(tmp_path / "runs.parquet")
    assert table.schema == SCHEMA
    rows = table.to_pylist()
    assert [(row["strategy"], row["seed"]) for row in rows] == list(LOSSES)
    assert [row["validation_loss"] for row in rows] == [2.0, 2.4, 2.1, 2.3, 2.1]
    assert [(row["best_step"], row["steps"]) for row in rows] == [
        (100, 150),
        *[(100, 100)] * 4,
    ]
    assert [row["steps_to_standard"] for row in rows] == [100, 100, None, 100, 50]
    assert [row["rougeL"] for row in rows] == [15, 30, 45, 60, 75]
    assert rows[0]["facts"] == 50 and rows[0]["parameter_share"] == 10
    assert (rows[0]["layers"], rows[0]["ranks"], rows[0]["heads"]) == ([0, 2], [4, 5], [])


def test_nothing_to_reach_without_standard(inputs: tuple[dict, dict]) -> None:
    summaries, folders = ({name: d[name] for name in d if name[0] == "circuit"} for d in inputs)
    assert [run.row["steps_to_standard"] for run in read_runs(summaries, folders)] == [None] * 3


def test_every_parameter_trained_is_all_of_them(inputs: tuple[dict, dict], tmp_path: Path) -> None:
    summaries, _ = inputs
    name = ("full", 0)
    folder = write_run(tmp_path / "full", name, [4.0, 1.0], parameters=1000, base_parameters=0)
    (run,) = read_runs({name: summaries["standard", 0]}, {name: folder})
    assert run.row["parameter_share"] == 100


def test_errors_name_the_table(inputs: tuple[dict, dict], tmp_path: Path) -> None:
    summaries, folders = inputs
    other = write_summaries(tmp_path / "other.parquet", [1.0, 2.0], 1, first=1)
    with pytest.raises(InputError, match=r"other\.parquet: its articles"):
        read_runs(summaries | {("circuit", 1): other}, folders)
    with pytest.raises(
        InputError, match=r"plan\.parquet: the plan of standard seed 0, not of circuit seed 1"
    ):
        read_runs(summaries, folders | {("circuit", 1): folders["standard", 0]})
    (folders["circuit", 0] / "training.parquet").unlink()
    with pytest.raises(InputError, match=r"training\.parquet"):
        read_runs(summaries, folders)
    with pytest.raises(InputError, match=r"empty\.parquet: no summaries of seed 1"):
        empty = write_summaries(tmp_path / "empty.parquet", [], 1)
        read_runs({("circuit", 1): empty}, {("circuit", 1): folders["circuit", 1]})


def test_seeds_of_a_strategy_share_a_table(inputs: tuple[dict, dict], tmp_path: Path) -> None:
    summaries, folders = inputs
    tables = [pq.read_table(summaries["standard", seed]) for seed in (1, 0)]
    pq.write_table(pa.concat_tables(tables), tmp_path / "both.parquet")
    together = {name: tmp_path / "both.parquet" for name in folders if name[0] == "standard"}
    found = read_runs(together, {name: folders[name] for name in together})
    assert [(run.seed, run.row["rougeL"]) for run in found] == [(0, 15), (1, 30)]
