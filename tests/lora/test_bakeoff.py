"""The bake-off's table, against numbers by hand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from lora.bakeoff_runs import write_run, write_summaries

from rewire.errors import InputError
from rewire.lora.bakeoff import RUN_MEASURES, SCHEMA, SUMMARY_MEASURES, write_bakeoff
from rewire.lora.runs import read_runs
from rewire.tables import read_table

N = 12
ARTICLE = np.random.default_rng(0).normal(20, 5, N)


def bakeoff(
    folder: Path,
    rouge: Mapping[tuple[str, int], np.ndarray],
    losses: Mapping[str, float] | None = None,
    **facts: int,
) -> dict[tuple[str, str], dict]:
    """The rows by strategy and measure; a run's losses are its strategy's (2 unless given) plus its seed / 100."""
    losses = losses or {}
    summaries, folders = {}, {}
    for name, values in rouge.items():
        summaries[name] = write_summaries(folder / f"{name}.parquet", values, **facts)
        best = losses.get(name[0], 2.0) + name[1] / 100
        folders[name] = write_run(folder / f"run-{name}", name, [4.0, best + 0.5, best])
    base = write_summaries(folder / "base.parquet", next(iter(rouge.values())) - 10, right=2)
    write_bakeoff(read_runs(summaries, folders), base, folder / "out.parquet")
    table = read_table(folder / "out.parquet")
    assert table.schema == SCHEMA
    rows = {(row["strategy"], row["measure"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return rows


@pytest.fixture
def found(tmp_path: Path) -> dict[tuple[str, str], dict]:
    """Two strategies of two seeds, and the base."""
    better = {("standard", 0): ARTICLE, ("standard", 1): ARTICLE + 2}
    return bakeoff(tmp_path, better | {("random", 0): ARTICLE - 4, ("random", 1): ARTICLE - 2}, right=0)


def test_rows(found: dict) -> None:
    trained = {(s, m) for s in ("standard", "random") for m in (*SUMMARY_MEASURES, *RUN_MEASURES)}
    assert set(found) == trained | {("base", measure) for measure in SUMMARY_MEASURES}
    row = found["standard", "rouge1"]
    assert row["mean"] == pytest.approx(ARTICLE.mean() + 1)  # over articles of the mean over seeds
    assert row["low"] < row["mean"] < row["high"]
    assert (row["articles"], row["seeds"]) == (N, 2)
    assert (row["parameters"], row["parameter_share"]) == (100, 10.0)
    assert found["standard", "facts"]["mean"] == 0 and found["base", "facts"]["mean"] == 100
    base = found["base", "rouge1"]
    assert (base["seeds"], base["parameters"], base["parameter_share"]) == (1, None, None)
    loss = found["standard", "validation_loss"]
    assert loss["mean"] == pytest.approx(2.005) and loss["low"] is None and loss["articles"] is None


def test_differences_are_paired_by_article_and_by_seed(found: dict) -> None:
    row = found["random", "rouge1"]
    for part in (
        "",
        "_low",
        "_high",
    ):  # -4 for each article and seed: what articles and seeds do to both cancels
        assert row[f"against_standard{part}"] == pytest.approx(-4)
        assert row[f"against_random{part}"] is None
    assert row["against_standard_verdict"] == "worse" and row["against_standard_p"] < 0.001
    assert found["standard", "rouge1"]["against_random_verdict"] == "better"


def test_the_base_is_compared_but_not_tested(found: dict) -> None:
    row = found["base", "rouge2"]
    assert row["against_standard"] == pytest.approx(-11) and row["against_standard_low"] < -11
    assert all(row[f"against_standard_{part}"] is None for part in ("p", "q", "detectable", "verdict"))
    alone = found["random", "rouge2"]  # the only test of its family
    assert alone["against_standard_p"] == alone["against_standard_q"]


def test_seeds_that_are_not_the_same_are_not_paired(tmp_path: Path) -> None:
    seeds = {("standard", s): ARTICLE + 2 * s for s in range(3)}
    rows = bakeoff(tmp_path, seeds | {("random", s): ARTICLE + 2 * s - 0.5 for s in range(5)})
    row = rows["random", "rouge1"]
    assert row["seeds"] == 5 and row["against_standard"] == pytest.approx(1.5)
    assert row["against_standard_low"] < 0 < row["against_standard_high"]
    assert row["against_standard_verdict"] == "no difference found"
    assert row["against_standard_detectable"] > 3


def test_losses_are_tested_from_five_seeds_on_and_lower_is_better(tmp_path: Path) -> None:
    names = [(strategy, seed) for strategy in ("standard", "random", "circuit") for seed in range(5)]
    rows = bakeoff(tmp_path, dict.fromkeys(names, ARTICLE), {"circuit": 1.9, "random": 2.1})
    loss = rows["circuit", "validation_loss"]
    assert loss["low"] < loss["mean"] < loss["high"] and loss["against_standard_verdict"] == "better"
    assert loss["against_standard"] == pytest.approx(-0.1)
    assert rows["random", "validation_loss"]["against_standard_verdict"] == "worse"
    assert rows["random", "rouge1"]["against_standard_p"] == 1  # the same summaries


def test_steps_of_a_run_that_never_gets_there_are_the_longest_run_s(tmp_path: Path) -> None:
    losses = {"standard": [4.0, 2.0], "circuit": [4.0, 3.0, 2.0], "random": [4.0, 3.0, 2.5, 2.4]}
    summaries = {(name, 0): write_summaries(tmp_path / f"{name}.parquet", ARTICLE) for name in losses}
    folders = {(name, 0): write_run(tmp_path / name, (name, 0), values) for name, values in losses.items()}
    write_bakeoff(read_runs(summaries, folders), tmp_path / "standard.parquet", tmp_path / "out.parquet")
    rows = read_table(tmp_path / "out.parquet").to_pylist()
    steps = {row["strategy"]: row for row in rows if row["measure"] == "steps_to_standard"}
    assert {name: row["mean"] for name, row in steps.items()} == {
        "standard": 50,
        "circuit": 100,
        "random": 150,
    }
    assert steps["circuit"]["against_standard"] == 50 and steps["circuit"]["against_standard_verdict"] is None


def test_q_is_over_the_strategies_of_a_measure_and_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = ("standard", "random", "circuit", "inverse")
    rouge = {
        (name, s): ARTICLE + i / 2 + rng.normal(0, 1, N) for i, name in enumerate(names) for s in range(3)
    }
    rows = bakeoff(tmp_path, rouge)
    p = [rows[name, "rouge1"]["against_random_p"] for name in ("standard", "circuit", "inverse")]
    q = [rows[name, "rouge1"]["against_random_q"] for name in ("standard", "circuit", "inverse")]
    ranked = sorted(p)
    by_hand = {ranked[2]: ranked[2], ranked[1]: min(ranked[2], 1.5 * ranked[1])}
    by_hand[ranked[0]] = min(by_hand[ranked[1]], 3 * ranked[0])
    assert q == pytest.approx([by_hand[value] for value in p])


def test_one_seed_has_an_interval_over_articles(tmp_path: Path) -> None:
    rows = bakeoff(tmp_path, {("standard", 0): ARTICLE, ("circuit", 0): ARTICLE + np.arange(N) / 10})
    row = rows["circuit", "rouge1"]
    assert row["seeds"] == 1 and 0 < row["against_standard_low"] < row["against_standard"] == pytest.approx(
        0.55
    )
    assert row["against_random"] is None and row["against_random_verdict"] is None


def test_too_few_articles_have_no_interval_and_no_verdict(tmp_path: Path) -> None:
    row = bakeoff(tmp_path, {("standard", 0): np.arange(3.0), ("circuit", 0): np.arange(3.0) + 1})[
        "circuit", "rouge1"
    ]
    assert row["mean"] == 2 and row["against_standard"] == 1
    assert row["low"] is row["against_standard_p"] is row["against_standard_verdict"] is None


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lora\.strategies\.base"):
        bakeoff(tmp_path, {("base", 0): ARTICLE})
    other = write_summaries(tmp_path / "other.parquet", ARTICLE, first=1)
    summaries = {("standard", 0): write_summaries(tmp_path / "s.parquet", ARTICLE)}
    runs = read_runs(summaries, {("standard", 0): write_run(tmp_path / "s", ("standard", 0), [2.0, 1.0])})
    with pytest.raises(InputError, match=r"other\.parquet"):
        write_bakeoff(runs, other, tmp_path / "bad.parquet")
    assert not (tmp_path / "bad.parquet").exists()


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        bakeoff(tmp_path, {(name, s): ARTICLE + s for name in ("standard", "random") for s in range(2)})
        found.append((tmp_path / "out.parquet").read_bytes())
    assert found[0] == found[1]
