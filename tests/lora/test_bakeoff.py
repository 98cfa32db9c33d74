"""The bake-off's table, against numbers by hand."""

from collections.abc import Mapping, Sequence
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
OF_A_TEST = ("p", "q", "detectable", "verdict")


def bakeoff(
    folder: Path,
    rouge: Mapping[tuple[str, int], np.ndarray],
    losses: Mapping[str, float | list[float]] | None = None,
    whole: Sequence[str] = (),
    **facts: int,
) -> dict[tuple[str, str], dict]:
    """The rows by strategy and measure; a run's losses are its strategy's (2 unless given) plus its seed / 100.

    ``whole``: strategies that train every parameter.
    """
    losses = losses or {}
    summaries, folders = {}, {}
    for name, values in rouge.items():
        summaries[name] = write_summaries(folder / f"{name}.parquet", values, name[1], **facts)
        best = np.broadcast_to(losses.get(name[0], 2.0), 5)[name[1]] + name[1] / 100
        plan = {"parameters": 900, "base_parameters": 0} if name[0] in whole else {}
        folders[name] = write_run(folder / f"run-{name}", name, [4.0, best + 0.5, best], **plan)
    base = write_summaries(folder / "base.parquet", next(iter(rouge.values())) - 10, right=2)
    write_bakeoff(read_runs(summaries, folders), base, folder / "out.parquet")
    table = read_table(folder / "out.parquet")
    assert table.schema == SCHEMA
    rows = {(row["strategy"], row["measure"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return rows


@pytest.fixture
def found(tmp_path: Path) -> dict[tuple[str, str], dict]:
    """Two strategies of three seeds, and the base."""
    noise = np.random.default_rng(5).normal(0, 0.01, N)  # seeds that agree altogether are not tested
    better = {("standard", 0): ARTICLE, ("standard", 1): ARTICLE + 2, ("standard", 2): ARTICLE + 1}
    worse = {("random", 0): ARTICLE - 4, ("random", 1): ARTICLE - 2 + noise, ("random", 2): ARTICLE - 3}
    return bakeoff(tmp_path, better | worse, right=0)


def test_rows(found: dict) -> None:
    trained = {(s, m) for s in ("standard", "random") for m in (*SUMMARY_MEASURES, *RUN_MEASURES)}
    assert set(found) == trained | {("base", measure) for measure in SUMMARY_MEASURES}
    row = found["standard", "rouge1"]
    assert row["mean"] == pytest.approx(ARTICLE.mean() + 1)  # over articles of the mean over seeds
    assert row["low"] < row["mean"] < row["high"]
    assert (row["articles"], row["seeds"]) == (N, 3)
    assert (row["parameters"], row["parameter_share"]) == (100, 10.0)
    assert found["standard", "facts"]["mean"] == 0 and found["base", "facts"]["mean"] == 100
    base = found["base", "rouge1"]
    assert (base["seeds"], base["parameters"], base["parameter_share"]) == (1, None, None)
    loss = found["standard", "validation_loss"]
    assert loss["mean"] == pytest.approx(2.01) and loss["low"] is None and loss["articles"] is None


def test_differences_are_paired_by_article_and_by_seed(found: dict) -> None:
    row = found["random", "rouge1"]
    for part in (
        "",
        "_low",
        "_high",
    ):  # -4 for each article and seed: what articles and seeds do to both cancels
        assert row[f"against_standard{part}"] == pytest.approx(-4, abs=0.05)
        assert row[f"against_random{part}"] is None
    assert row["against_standard_verdict"] == "worse" and row["against_standard_p"] < 0.05
    assert found["standard", "rouge1"]["against_random_verdict"] == "better"


def test_the_base_is_compared_but_not_tested(found: dict) -> None:
    row = found["base", "rouge2"]
    assert row["against_standard"] == pytest.approx(-11, abs=0.01) and row["against_standard_low"] < -11
    assert all(row[f"against_standard_{part}"] is None for part in OF_A_TEST)
    alone = found["random", "rouge2"]  # the only test of its family
    assert alone["against_standard_p"] == alone["against_standard_q"]


def test_training_every_parameter_is_compared_but_not_tested(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    names = ("standard", "random", "circuit", "full")
    rouge = {(name, s): ARTICLE + rng.normal(0, 1, N) for name in names for s in range(3)}
    rouge |= {("full", s): ARTICLE + 9 + rng.normal(0, 1, N) for s in range(3)}
    rows = bakeoff(tmp_path / "with", rouge, whole=["full"])
    full = rows["full", "rouge1"]
    assert 0 < full["against_standard_low"] < full["against_standard"] < full["against_standard_high"]
    for reference in ("standard", "random"):
        assert all(full[f"against_{reference}_{part}"] is None for part in OF_A_TEST)
    without = bakeoff(tmp_path / "without", {name: rouge[name] for name in rouge if name[0] != "full"})
    for name in ("random", "circuit"):  # the others' family is what it was
        row, alone = rows[name, "rouge1"], without[name, "rouge1"]
        assert {key: row[key] for key in row if "_random" not in key} == {
            key: alone[key] for key in alone if "_random" not in key
        }
        assert row["against_standard_q"] is not None


def test_seeds_that_agree_altogether_are_not_tested(tmp_path: Path) -> None:
    """How far other seeds would differ cannot be known."""
    rouge = {(name, s): ARTICLE - (name == "random") for name in ("standard", "random") for s in range(3)}
    row = bakeoff(tmp_path / "three", rouge)["random", "rouge1"]
    assert (row["against_standard"], row["against_standard_low"]) == pytest.approx((-1, -1))
    assert all(row[f"against_standard_{part}"] is None for part in OF_A_TEST)


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_have_a_difference_and_no_verdict(tmp_path: Path, seeds: int) -> None:
    """They say how these runs differ, which a published table of single runs takes for how strategies do."""
    rng = np.random.default_rng(2)
    rouge = {("standard", s): ARTICLE + rng.normal(0, 0.1, N) for s in range(3)}
    rouge |= {("random", s): ARTICLE - 9 + rng.normal(0, 0.1, N) for s in range(seeds)}
    row = bakeoff(tmp_path, rouge)["random", "rouge1"]
    assert row["against_standard_high"] < 0 and row["against_standard_p"] < 0.05
    assert row["against_standard_verdict"] is None
    other = bakeoff(tmp_path / "other", rouge)["standard", "rouge1"]
    assert other["against_random_low"] > 0 and other["against_random_verdict"] is None


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
    rows = bakeoff(
        tmp_path,
        dict.fromkeys(names, ARTICLE),
        {"circuit": [1.9, 1.91, 1.89, 1.9, 1.9], "random": [2.1] * 4 + [2.11]},
    )
    loss = rows["circuit", "validation_loss"]
    assert loss["low"] < loss["mean"] < loss["high"] and loss["against_standard_verdict"] == "better"
    assert loss["against_standard"] == pytest.approx(-0.1)
    assert rows["random", "validation_loss"]["against_standard_verdict"] == "worse"
    assert rows["random", "rouge1"]["against_standard_p"] is None  # the same summaries by every seed


def test_steps_have_no_mean_where_a_run_never_gets_there(tmp_path: Path) -> None:
    early, late, never = [4.0, 2.0, 1.9], [4.0, 3.0, 1.9], [4.0, 3.0, 2.5]
    losses = {
        "standard": [[4.0, 3.0, best] for best in (2.0, 2.1, 2.0, 2.2, 2.0)],  # each reaches its own
        "circuit": [early, early, late, early, late],
        "random": [late, early, never, late, late],
        "steady": [late] * 5,
    }
    summaries, folders = {}, {}
    for name, own in losses.items():
        for seed, values in enumerate(own):
            run = (name, seed)
            summaries[run] = write_summaries(tmp_path / f"{run}.parquet", ARTICLE, seed)
            folders[run] = write_run(tmp_path / f"run-{run}", run, values)
    write_bakeoff(read_runs(summaries, folders), summaries["standard", 0], tmp_path / "out.parquet")
    rows = read_table(tmp_path / "out.parquet").to_pylist()
    steps = {row["strategy"]: row for row in rows if row["measure"] == "steps_to_standard"}
    assert {name: (row["reached"], row["mean"]) for name, row in steps.items()} == {
        "standard": (5, 100),
        "circuit": (5, 70),
        "random": (4, None),
        "steady": (5, 100),
    }
    assert all(row["reached"] is None for row in rows if row["measure"] != "steps_to_standard")
    for column in ("mean", "low", "against_standard", "against_standard_low", "against_standard_p"):
        assert steps["random"][column] is None
    for part in ("", "_low", "_p", "_q", "_detectable", "_verdict"):  # nor has another one against it
        assert steps["circuit"][f"against_random{part}"] is None
    assert steps["steady"]["against_standard"] == 0 and steps["steady"]["against_standard_p"] is None


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
    summaries = {("standard", 0): write_summaries(tmp_path / "s.parquet", ARTICLE, 0)}
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
