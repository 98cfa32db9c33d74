"""Sequential fine-tuning in the smoke run: what is there, what each run shares, and bad input."""

import numpy as np
import pyarrow.parquet as pq
import pytest

MODEL = "results/sequential/calculator"
RUNS = [
    "add",
    "max",
    "sub",
    "add-max/kept",
    "max-add/kept",
    "add-max/prior",
    "add-max/inside",
    "add-max/random",
    "add+max",
]


def table(copy, name):
    return pq.read_table(copy.folder / MODEL / f"{name}.parquet").to_pylist()


def test_every_run_is_in_the_tables(sequenced):
    rows = table(sequenced, "checkpoints")
    assert {row["run"] for row in rows} == set(RUNS)
    places = [(row["run"], row["task"], row["step"]) for row in rows]
    assert len(places) == len(set(places))
    for run in RUNS:
        steps = {(task, step) for name, task, step in places if name == run}
        tasks = run.split("/")[0].replace("+", "-").split("-")
        assert steps == {(task, step) for task in tasks for step in (0, 5, 10)}
    assert {row["run"] for row in table(sequenced, "changes")} == set(RUNS)


def test_a_row_a_pair(sequenced):
    rows = {row["run"]: row for row in table(sequenced, "pairs")}
    assert set(rows) == {run for run in RUNS if "/" in run}
    starts = {
        (row["run"], row["task"]): np.mean(row["correct"])
        for row in table(sequenced, "checkpoints")
        if row["step"] == 0
    }
    for name, row in rows.items():
        assert row["first_accuracy_before"] == pytest.approx(starts[name, row["first"]])
        assert row["second_accuracy_before"] == pytest.approx(starts[name, row["second"]])
        assert 0 <= row["edge_jaccard"] <= 1 and 0 <= row["node_jaccard_kept"] <= 1
        if not row["learned"]:
            assert row["forgetting"] is None
    # all begin where the run of add alone ends
    assert len({rows[name]["first_accuracy_before"] for name in rows if name.startswith("add-")}) == 1


def test_tasks_are_judged_as_the_summarization_circuit_is(smoke):
    assert smoke.planned("sequential_faithfulness") == {}
    for task in ("add", "max", "sub"):
        folder = smoke.folder / MODEL / task / "faithfulness"
        criteria = pq.read_table(folder / "criteria.parquet").to_pylist()
        kinds = {row["criterion"] for row in criteria}
        assert kinds == {"necessity", "completeness, random", "completeness, greedy", "minimality"}
        areas = pq.read_table(folder / "areas.parquet").to_pylist()
        assert {row["area"] for row in areas if row["circuit"] == "held-out"} == {"CPR", "CMD"}
        assert {row["examples"] for row in areas} == {
            8
        }  # of ten prompts, those that the circuit was scored on


def test_each_run_is_a_target_that_trains_no_first_task_again(sequenced):
    target = f"{MODEL}/add-max/kept/measures.parquet"
    assert sequenced.planned(target) == {}
    (sequenced.folder / target).rename(sequenced.folder / "aside")
    try:
        assert sequenced.planned(target) == {"measure_second_task": 1}
    finally:
        (sequenced.folder / "aside").rename(sequenced.folder / target)


def test_adding_a_pair_adds_its_second_stage_alone(sequenced):
    preset = sequenced.preset({"sequential.variants.inside.pairs": [["add", "max"], ["max", "add"]]})
    jobs = sequenced.plan(f"{MODEL}/pairs.parquet", preset=preset).jobs
    assert jobs == {"train_second_task": 1, "measure_second_task": 1, "gather_pairs": 1}


def test_adding_a_task_to_a_model_with_its_own_tokenizer_trains_no_other_again(sequenced):
    local = {"source": "local", "path": f"{MODEL}/base"}
    changes = {"models.known": local, "sequential.models": ["known"], "sequential.alone": []}
    before = sequenced.planned("sequential", preset=sequenced.preset(changes))
    after = sequenced.planned(
        "sequential", preset=sequenced.preset(changes | {"sequential.tasks": ["add", "max", "sub"]})
    )
    assert before["copy_sequential_base"] == after["copy_sequential_base"] == 1
    assert after["train_task"] - before["train_task"] == 1
    assert after["train_second_task"] - before["train_second_task"] == 4


def test_numbers_that_the_tokenizer_splits_end_the_job_in_one_line(clone):
    """The newswire's BPE has no token for most numbers."""
    local = {"source": "local", "path": "results/checkpoints/small/newswire/base"}
    preset = clone.preset({"models.reader": local, "sequential.models": ["reader"]})
    done = clone.snakemake("results/sequential/reader/tasks/add/test.parquet", preset=preset)
    assert done.returncode != 0
    said = (clone.folder / "logs/sequential/reader/tasks/add.log").read_text()
    assert "Error: task 'add': the number" in said and "splits: drop" in said
    assert not (clone.folder / "results/sequential/reader/tasks/add/test.parquet").exists()


def test_summarization_can_be_a_task(clone):
    local = {"source": "local", "path": "results/checkpoints/small/newswire/base"}
    preset = clone.preset(
        {
            "models.reader": local,
            "sequential.models": ["reader"],
            "sequential.tasks": ["summarization", "add"],
            "sequential.articles": {"dataset": "newswire"},
            "sequential.variants": {
                "kept": {"adapters": "continued"},
                "prior": None,
                "inside": None,
                "outside": None,
                "random": None,
            },
            "sequential.multi": [],
        }
    )
    folder = "results/sequential/reader"
    done = clone.snakemake(f"{folder}/summarization/measures.parquet", preset=preset)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    rows = pq.read_table(clone.folder / folder / "summarization/measures.parquet").to_pylist()
    assert [row["step"] for row in rows] == [0, 5, 10]
    assert all(0 <= value <= 1 for row in rows for value in row["correct"])
    assert any(0 < value < 1 for row in rows for value in row["correct"])  # of several tokens
