"""Rows of pairs: forgetting and gain from the examples, nothing where nothing was learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.sequential.declared import multi, sequential, single
from rewire.sequential.pairs import pair_row, write_pairs_table
from rewire.sequential.tables import CHECKPOINTS, CROSS, EVOLUTION, MEASURES, OVERLAPS, PAIRS
from rewire.tables import read_table, schema, write_table

RUN = sequential("add", "max", "kept")
SETTINGS = {"learned": 0.9, "seed": 0, "rates": {"kept": 1, "tenth": 0.1}}


def measured(correct: list[int], validation: float = 1.0) -> dict[str, Any]:
    return {"correct": correct, "validation_accuracy": validation, "examples": len(correct)}


def row_of(before, after, alone=None, validation=1.0, start=None):
    end = alone if alone is not None else before
    rows = {
        "first": [measured(before, validation), measured(after)],
        "second": [measured(start or end), measured(end)],
        "alone": [measured(end), measured(before)],
    }
    return pair_row(RUN, rows, [], [], SETTINGS)


def test_forgetting_is_the_lost_share_of_the_accuracy():
    row = row_of([1] * 8 + [0] * 2, [1] * 2 + [0] * 8)
    assert row["forgetting"] == pytest.approx((0.8 - 0.2) / 0.8)
    assert row["forgetting_low"] < row["forgetting"] < row["forgetting_high"] <= 1
    assert row["learned"] and row["examples"] == 10


def test_what_was_not_learned_is_flagged_and_has_no_forgetting():
    row = row_of([1] * 8 + [0] * 2, [0] * 10, validation=0.89)
    assert row["learned"] is False and "forgetting" not in row
    assert row["first_accuracy_before"] == pytest.approx(0.8)


def test_every_task_may_have_a_threshold_of_its_own():
    settings = SETTINGS | {"learned": {"add": 0.5, "max": 0.95}}
    rows = {name: [measured([1, 0] * 4, 0.6)] * 2 for name in ("first", "second", "alone")}
    row = pair_row(RUN, rows, [], [], settings)
    assert (row["learned"], row["second_learned"]) == (True, False)
    assert (row["threshold"], row["second_threshold"]) == (0.5, 0.95)


def test_forgetting_of_what_was_never_right_is_no_number():
    assert np.isnan(row_of([0] * 6, [1] * 6)["forgetting"])


def test_gain_is_paired_example_by_example():
    """The same answers are right after the first task as alone: the gain is 0, and sure to be."""
    row = row_of([1, 0] * 10, [1, 0] * 10, alone=[1, 0] * 10)
    assert (row["gain"], row["gain_low"], row["gain_high"]) == (0, 0, 0)
    row = row_of([0] * 20, [0] * 20, alone=[1] * 5 + [0] * 15)
    assert row["gain"] == pytest.approx(0.25) and row["gain_low"] > 0


def test_there_is_no_gain_at_another_rate_than_that_of_the_task_alone():
    rows = {name: [measured([1, 0] * 4)] * 2 for name in ("first", "second", "alone")}
    at_full = pair_row(RUN, rows, [], [], SETTINGS)
    at_tenth = pair_row(sequential("add", "max", "tenth"), rows, [], [], SETTINGS)
    missing = set(at_full) - set(at_tenth)
    assert missing == {"gain", "gain_low", "gain_high"}
    assert at_tenth["second_accuracy_alone"] == 0.5


@settings(max_examples=40, deadline=None)
@given(
    before=st.lists(st.integers(0, 1), min_size=6, max_size=30).filter(any),
    data=st.data(),
)
def test_forgetting_follows_from_both_accuracies(before, data):
    after = data.draw(st.lists(st.integers(0, 1), min_size=len(before), max_size=len(before)))
    row = row_of(before, after)
    expected = (np.mean(before) - np.mean(after)) / np.mean(before)
    assert row["forgetting"] == pytest.approx(expected)
    assert row["forgetting"] <= 1


def test_other_test_examples_are_refused():
    with pytest.raises(InputError, match="test examples"):
        row_of([1] * 6, [1] * 7)


def as_row(run, task, step, accuracy):
    correct = [1] * round(10 * accuracy) + [0] * (10 - round(10 * accuracy))
    place = {"task": task, "step": step, "validation_accuracy": accuracy}
    return run.columns() | place | {"correct": correct, "examples": 10}


def compared(run):
    """A comparison of the run's first task, as the tables of evolution have it."""
    known = {"false_positives": 0.1, "false_positives_pairs": 10, "power": 1.0, "power_pairs": 2}
    place = {"task": run.tasks[0], "checkpoint": "step-000004", "reference_checkpoint": "step-000000"}
    return run.columns() | place | known | {"p": 0.01, "alpha": 0.05, "verdict": "supported"}


def test_all_runs_are_put_together(tmp_path):
    runs = [single("add"), single("max"), RUN, multi(["add", "max"])]
    found = {
        "add": [("add", 0, 0.1), ("add", 4, 1.0)],
        "max": [("max", 0, 0.0), ("max", 4, 0.8)],
        RUN.name: [("add", 0, 1.0), ("add", 4, 0.4), ("max", 0, 0.2), ("max", 4, 0.9)],
        "add+max": [("add", 0, 0.1), ("add", 4, 1.0), ("max", 0, 0.0), ("max", 4, 1.0)],
    }
    files: dict[str, dict[str, Any]] = {}
    for run in runs:
        files[run.name] = {
            name: tmp_path / f"{run.name.replace('/', ' ')} {name}" for name in ("measures", *EVOLUTION)
        }
        write_table(files[run.name]["measures"], [as_row(run, *place) for place in found[run.name]], MEASURES)
        for name, columns in EVOLUTION.items():
            write_table(files[run.name][name], [compared(run)], columns)
    crossed = RUN.columns() | {"circuit_of": "first", "judged_on": "second", "normalised": 0.5}
    overlap = RUN.columns() | {"before": "first_before", "after": "second_after", "measure": "edge_jaccard"}
    files[RUN.name] |= {name: tmp_path / name for name in ("cross", "overlaps", "training")}
    write_table(files[RUN.name]["training"], [{"parameters": 640}] * 2, schema(parameters="int64"))
    write_table(files[RUN.name]["cross"], [crossed], CROSS)
    write_table(files[RUN.name]["overlaps"], [overlap | {"value": 0.25}], OVERLAPS)
    outputs = {name: tmp_path / name for name in ("checkpoints", *EVOLUTION, "pairs")}
    write_pairs_table(runs, files, SETTINGS, outputs)
    [row] = read_table(outputs["pairs"]).to_pylist()
    assert list(row) == PAIRS.names
    assert row["forgetting"] == pytest.approx(0.6) and row["gain"] == pytest.approx(0.1)
    assert (row["first_on_second"], row["edge_jaccard"], row["edge_jaccard_kept"]) == (0.5, 0.25, None)
    assert row["parameters"] == 640
    assert (row["second_accuracy_before"], row["second_learned"]) == (pytest.approx(0.2), True)
    checkpoints = read_table(outputs["checkpoints"])
    assert checkpoints.num_rows == 12 and checkpoints.schema == CHECKPOINTS
    reached = {(row["run"], row["task"], row["step"]): row["learned"] for row in checkpoints.to_pylist()}
    assert reached["add", "add", 4] and reached[RUN.name, "max", 4] and not reached["max", "max", 4]
    assert sum(reached.values()) == 5
    for name, columns in EVOLUTION.items():
        assert read_table(outputs[name]).schema == columns and read_table(outputs[name]).num_rows == 4
    assert {row["false_positives_pairs"] for row in read_table(outputs["edge_centric"]).to_pylist()} == {40}
    write_table(files["max"]["measures"], [as_row(single("max"), "max", 4, 1.0)], MEASURES)
    with pytest.raises(InputError, match=r"max measures: 1 checkpoints of max"):
        write_pairs_table(runs, files, SETTINGS, outputs)
