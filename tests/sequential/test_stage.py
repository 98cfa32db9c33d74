"""Measured runs: rows of every checkpoint, what single runs share with pairs, identities."""

from __future__ import annotations

import numpy as np
import pytest

from rewire.tables import read_table


def rows(path):
    return read_table(path).to_pylist()


def test_a_single_run_has_a_row_a_checkpoint(world):
    found = rows(world.measured("add")["measures"])
    assert [(row["task"], row["step"]) for row in found] == [("add", 0), ("add", 2), ("add", 4)]
    for row in found:
        assert (row["kind"], row["first"], row["second"], row["tasks"]) == ("single", "add", None, ["add"])
        assert row["accuracy"] == pytest.approx(np.mean(row["correct"]))
        assert row["circuit_accuracy"] == pytest.approx(np.mean(row["circuit_correct"]))
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert row["examples"] == len(row["correct"]) == len(row["nll"]) == 10


def test_a_pair_takes_from_the_single_runs_what_they_measured(world):
    pair, alone = (rows(world.measured(name)["measures"]) for name in ("add-maximum/kept", "add"))
    assert [(row["task"], row["step"]) for row in pair] == [
        (task, step) for task in ("add", "maximum") for step in (0, 2, 4)
    ]
    of_run = {"run", "kind", "variant", "first", "second", "tasks", "step", "checkpoint"}
    taken = {key: value for key, value in pair[0].items() if key not in of_run}
    assert taken == {key: value for key, value in alone[-1].items() if key not in of_run}
    circuits = world.outputs("add-maximum/kept")["circuits"]
    assert sorted(str(path.relative_to(circuits)) for path in circuits.rglob("*.safetensors")) == [
        "add/step-000002.safetensors", "add/step-000004.safetensors",
        "maximum/step-000000.safetensors", "maximum/step-000002.safetensors", "maximum/step-000004.safetensors",
    ]  # fmt: skip
