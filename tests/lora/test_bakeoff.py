"""The bake-off's table, against numbers by hand."""

from pathlib import Path

import numpy as np
import pytest

from rewire.errors import InputError
from rewire.lora.adapters import PLAN
from rewire.lora.bakeoff import SCHEMA, write_bakeoff
from rewire.summaries import ROUGE
from rewire.summaries import SCHEMA as SUMMARIES
from rewire.tables import read_table, write_table

N = 12


def summaries(
    path: Path, rouge: np.ndarray, right: int = 1, generated: int = 2, ids: range = range(N)
) -> Path:
    rows = [
        {
            "id": f"r{i}",
            "generated": "g",
            "reference": "r",
            **dict.fromkeys(ROUGE, float(value)),
            "facts_generated": generated,
            "facts_reference": 3,
            "facts_right": right,
        }
        for i, value in zip(ids, rouge, strict=True)
    ]
    write_table(path, rows, SUMMARIES)
    return path


def plans(path: Path, strategy: str, parameters: int) -> Path:
    row = {
        "strategy": strategy,
        "seed": 0,
        "layers": [0],
        "rank": 4,
        "parameters": parameters,
        "base_parameters": 900,
    }
    write_table(path, [row], PLAN)
    return path


@pytest.fixture
def found(tmp_path: Path) -> dict[tuple[str, str], dict]:
    """The rows by strategy and measure of a bake-off of 2 strategies, 2 seeds and the base."""
    rng = np.random.default_rng(0)
    article = rng.normal(20, 5, N)
    runs = {
        ("standard", 0): summaries(tmp_path / "s0", article),
        ("standard", 1): summaries(tmp_path / "s1", article + 2),
        ("random", 0): summaries(tmp_path / "r0", article - 3, generated=0, right=0),
        ("random", 1): summaries(tmp_path / "r1", article - 5, generated=0, right=0),
    }
    sizes = {run: plans(tmp_path / f"plan-{run[0]}-{run[1]}", run[0], 100) for run in runs}
    whole = {"base": summaries(tmp_path / "base", article - 10, right=2)}
    out = tmp_path / "bakeoff.parquet"
    write_bakeoff(runs, sizes, whole, out)
    table = read_table(out)
    assert table.schema == SCHEMA
    rows = {(row["strategy"], row["measure"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    rows["article"] = {"mean": article.mean()}
    return rows


def test_rows(found: dict) -> None:
    mean = found.pop("article")["mean"]
    assert set(found) == {(s, m) for s in ("standard", "random", "base") for m in (*ROUGE, "facts")}
    row = found["standard", "rouge1"]
    assert row["mean"] == pytest.approx(mean + 1)  # over articles of the mean over seeds
    assert row["low"] < row["mean"] < row["high"]
    assert (row["articles"], row["seeds"]) == (N, 2)
    assert (row["parameters"], row["parameter_share"]) == (100, 10.0)
    base = found["base", "rouge1"]
    assert (base["seeds"], base["parameters"], base["parameter_share"]) == (1, None, None)


def test_differences_are_paired_by_article(found: dict) -> None:
    row = found["random", "rouge1"]
    for part in ("", "_low", "_high"):
        assert row[f"against_standard{part}"] == pytest.approx(-5)  # the articles' own spread cancels
        assert row[f"against_random{part}"] is None
    assert found["standard", "rouge1"]["against_random"] == pytest.approx(5)
    assert found["base", "rouge2"]["against_standard"] == pytest.approx(-11)


def test_facts_are_a_share_of_what_was_generated(found: dict) -> None:
    assert found["standard", "facts"]["mean"] == 50
    assert found["base", "facts"]["mean"] == 100
    assert found["random", "facts"]["mean"] == 0  # nothing generated, nothing right


def test_other_articles_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    runs = {
        ("standard", 0): summaries(tmp_path / "a.parquet", np.ones(N)),
        ("standard", 1): summaries(tmp_path / "b.parquet", np.ones(N), ids=range(1, N + 1)),
    }
    with pytest.raises(InputError, match=r"b\.parquet"):
        write_bakeoff(runs, {}, {}, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_too_few_articles_have_no_interval(tmp_path: Path) -> None:
    runs = {("standard", 0): summaries(tmp_path / "a", np.arange(3.0), ids=range(3))}
    write_bakeoff(runs, {}, {}, tmp_path / "out.parquet")
    row = read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert row["mean"] == 1
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
