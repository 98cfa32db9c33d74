"""Measured runs: rows of every checkpoint, what single runs share with pairs, identities."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sequential.worlds import World, section

from rewire.circuits import evaluation
from rewire.circuits.controls import complement
from rewire.circuits.scores_file import read_scored_circuit
from rewire.circuits.selection import whole
from rewire.errors import InputError
from rewire.faithfulness.measures import METRICS
from rewire.models import load
from rewire.sequential.evolution import seed_of
from rewire.sequential.measures import (
    TaskPairs,
    baselines,
    circuit_columns,
    model_columns,
    necessity_columns,
    read_task,
)
from rewire.sequential.stage import measure_run, measure_second_stage
from rewire.sequential.tables import CHANGES, CROSS, EVOLUTION, MEASURES, OVERLAPS
from rewire.tables import read_table

OF_RUN = {"run", "kind", "variant", "first", "second", "tasks", "step", "checkpoint"}


def rows(path):
    return read_table(path).to_pylist()


def same(one, other):
    """Whether two rows hold the same, NaN like NaN."""
    kept = sorted(set(one) - OF_RUN)
    return [name for name in kept if repr(one[name]) != repr(other[name])] == []


def test_a_single_run_has_a_row_a_checkpoint(world):
    found = rows(world.measured("add")["measures"])
    assert [(row["task"], row["step"]) for row in found] == [("add", 0), ("add", 2), ("add", 4)]
    for row in found:
        assert list(row) == MEASURES.names
        assert (row["kind"], row["first"], row["second"], row["tasks"]) == ("single", "add", None, ["add"])
        assert row["accuracy"] == pytest.approx(np.mean(row["correct"]))
        assert row["circuit_accuracy"] == pytest.approx(np.mean(row["circuit_correct"]))
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert row["examples"] == len(row["correct"]) == len(row["nll"]) == 10
        for name in ("random_normalised", "random_necessity"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_a_multi_task_run_is_measured_on_each_of_its_tasks(world):
    found = rows(world.measured("add+max")["measures"])
    assert [(row["task"], row["step"]) for row in found] == [
        (task, step) for task in ("add", "max") for step in (0, 2, 4)
    ]
    assert {(row["kind"], row["first"], tuple(row["tasks"])) for row in found} == {
        ("multi", None, ("add", "max"))
    }
    base = rows(world.measured("add")["measures"])[0]
    assert same(found[0], base)  # both start from the base, which is measured once
    circuits = world.outputs("add+max")["circuits"]
    assert sorted(path.name for path in circuits.glob("*/step-000000.safetensors")) == []
    turnover = by_comparison(world.outputs("add+max")["turnover"])
    assert ("max", "step-000002", "base") in turnover


def test_a_multi_task_run_that_measures_the_base_itself_finds_the_same(world, tmp_path):
    run, files = world.runs["add+max"], world.measured("add+max")
    tasks = {task: [world.tables(task)[split] for split in ("validation", "test")] for task in run.tasks}
    outputs = {name: tmp_path / name for name in files}
    measure_run(run, world.base, world.trained("add+max"), [2, 4], tasks, world.settings, outputs)
    for name in ("measures", *EVOLUTION):
        assert repr(rows(outputs[name])) == repr(rows(files[name])), name  # NaN like NaN


def test_tasks_with_different_numbers_of_rows_are_refused_before_anything_is_measured(world, tmp_path):
    run = world.runs["add-max/kept"]
    tables = {task: [world.tables(task)[split] for split in ("validation", "test")] for task in run.tasks}
    shorter = tmp_path / "short.parquet"
    pq.write_table(pq.read_table(tables["max"][0]).slice(0, 7), shorter)
    tables["max"][0] = shorter
    outputs = {name: tmp_path / name for name in world.outputs(run.name)}
    single = world.single("add")
    with pytest.raises(InputError, match=r"short.parquet: 7 rows .* of max on, and 8 of add"):
        measure_second_stage(
            run,
            tmp_path / "none",
            tmp_path / "none",
            [4],
            tables,
            single,
            tmp_path / "none",
            world.settings,
            outputs,
        )
    assert not any(path.exists() for path in outputs.values())


def test_a_pair_takes_from_the_single_runs_what_they_measured(world):
    pair, alone = (rows(world.measured(name)["measures"]) for name in ("add-max/kept", "add"))
    assert [(row["task"], row["step"]) for row in pair] == [
        (task, step) for task in ("add", "max") for step in (0, 2, 4)
    ]
    assert same(pair[0], alone[-1])
    circuits = world.outputs("add-max/kept")["circuits"]
    assert sorted(str(path.relative_to(circuits)) for path in circuits.rglob("*.safetensors")) == [
        "add/step-000002.safetensors", "add/step-000004.safetensors",
        "max/step-000000.safetensors", "max/step-000002.safetensors", "max/step-000004.safetensors",
    ]  # fmt: skip


def test_changes_are_against_the_previous_checkpoint_and_the_start(world):
    found = read_table(world.measured("add-max/kept")["changes"], CHANGES.names).to_pylist()
    places = {
        (row["task"], row["checkpoint"], row["reference"], row["reference_checkpoint"]) for row in found
    }
    assert places == {
        (task, *place)
        for task in ("add", "max")
        for place in (
            ("step-000002", "previous", "step-000000"),
            ("step-000002", "base", "step-000000"),
            ("step-000004", "previous", "step-000002"),
            ("step-000004", "base", "step-000000"),
        )
    }
    for row in found:
        if row["measure"] in ("edge_jaccard", "node_jaccard"):
            assert 0 <= row["value"] <= 1 and 0 <= row["floor_low"] <= row["floor"] <= row["floor_high"] <= 1


def by_comparison(table):
    return {(row["task"], row["checkpoint"], row["reference"]): row for row in rows(table)}


def test_what_is_born_and_lost_is_what_the_circuits_differ_by(world):
    files = world.measured("add-max/kept")
    turnover, layers = by_comparison(files["turnover"]), rows(files["layers"])
    assert len(turnover) == 8
    for place, row in turnover.items():
        task, checkpoint, reference = place
        for end in ("source", "destination"):
            of_end = [
                one
                for one in layers
                if (one["task"], one["checkpoint"], one["reference"], one["end"]) == (*place, end)
            ]
            for name in ("edges_born", "edges_lost"):
                assert sum(one[name] for one in of_end) == row[name]
            assert sum(one["edges_after"] for one in of_end) == row["edges"]
        if reference == "previous" and checkpoint == "step-000004":
            before = turnover[task, "step-000002", "base"]
            for kind in ("edges", "nodes"):
                assert row[f"{kind}_born"] - row[f"{kind}_lost"] == row[kind] - before[kind]
    changed = {
        (row["task"], row["checkpoint"], row["reference"]): row["value"]
        for row in rows(files["changes"])
        if row["measure"] == "edge_turnover"
    }
    for place, row in turnover.items():  # of the circuit before
        before = row["edges"] - row["edges_born"] + row["edges_lost"]
        assert changed[place] == pytest.approx((row["edges_born"] + row["edges_lost"]) / before)


def test_the_edge_centric_test_is_of_every_comparison(world):
    files = world.measured("add-max/kept")
    tested, turnover = by_comparison(files["edge_centric"]), by_comparison(files["turnover"])
    assert list(tested) == list(turnover)
    changed = {
        (row["task"], row["checkpoint"], row["reference"], row["measure"]): row["value"]
        for row in rows(files["changes"])
    }
    for place, row in tested.items():
        assert row["edge_change"] == pytest.approx(1 - changed[*place, "edge_jaccard"])
        assert row["node_change"] == pytest.approx(1 - changed[*place, "node_jaccard"])
        assert row["verdict"] in ("supported", "not supported", "inconclusive")
        assert row["p"] == max(row["p_noise"], row["p_edge"], row["p_sampling"])
        assert (row["false_positives_pairs"], row["power_pairs"]) == (5, 5)
        assert row["examples"] == 8


def test_every_run_and_task_draws_known_cases_of_its_own():
    seeds = [
        seed_of(0, *names) for names in (("add", "add"), ("add-max/kept", "add"), ("add-max/kept", "max"))
    ]
    assert len(set(seeds)) == 3 and seeds[0] == seed_of(0, "add", "add") != seed_of(1, "add", "add")


def test_the_whole_graph_is_as_faithful_and_as_right_as_the_model(world):
    model, task = load(world.trained("add") / "step-000004"), paths(world, "add")
    found = circuit_columns(model, whole(model.graph), task.test, world.settings)
    right = model_columns(model, task, world.settings)
    assert found["circuit_accuracy"] == right["accuracy"]
    assert found["circuit_correct"] == right["correct"]
    assert found["nll_excess"] == pytest.approx(0, abs=1e-5)
    assert found["normalised"] == pytest.approx(1, abs=1e-2)  # of two runs that hardly differ here
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    assert found["kl_percentage"] == pytest.approx(100, abs=1)


def test_without_the_whole_graph_nothing_is_left_and_without_no_circuit_everything(world):
    model, task = load(world.trained("add") / "step-000004"), paths(world, "add")
    runs = baselines(model, task.test, 512)
    runs["corrupted"]["nll"] = runs["clean"]["nll"] + 1
    everything = whole(model.graph)
    nothing = complement(everything)
    kept = necessity_columns(model, nothing, task.test, world.settings, runs)
    assert [kept[f"necessity{end}"] for end in ("", "_low", "_high")] == pytest.approx([1] * 3, abs=1e-5)
    assert kept["random_necessity"] == pytest.approx(1, abs=1e-5)  # of as many edges: none
    runs = baselines(model, task.test, 512)
    left = necessity_columns(model, everything, task.test, world.settings, runs)
    assert left["necessity"] == pytest.approx(0, abs=1e-2)  # of two runs that hardly differ here
    assert left["random_necessity"] == pytest.approx(left["necessity"], abs=1e-6)


def test_necessity_is_how_faithful_the_rest_of_the_model_is(world):
    row = rows(world.measured("add")["measures"])[-1]
    model, task = load(world.trained("add") / "step-000004"), paths(world, "add")
    _, circuit = read_scored_circuit(world.single("add").scores("add"))
    rest = circuit_columns(model, complement(circuit), task.test, world.settings)
    for end in ("", "_low", "_high"):
        assert row[f"necessity{end}"] == pytest.approx(rest[f"normalised{end}"], nan_ok=True)


def paths(world: World, task: str):
    tables = world.tables(task)
    return read_task(tables["validation"], tables["test"])


def test_accuracy_is_of_the_most_likely_token_at_the_answer(world):
    model, task = load(world.trained("max") / "step-000004"), paths(world, "max")
    with torch.no_grad():
        logits = model.bridge(task.test.clean[:, :-1])[:, -1]
    right = (logits.argmax(-1) == task.test.clean[:, -1]).long().tolist()
    assert model_columns(model, task, world.settings)["correct"] == right


def test_a_second_stage_without_a_step_forward_changes_nothing(tiny_base, world, tmp_path_factory):
    """At rate 0 both circuits are what they were, and each on the other's task is what overlap says."""
    settings = section(variants={"kept": {"adapters": "continued", "rate": 0}})
    still = World(tmp_path_factory.mktemp("still"), tiny_base, settings)
    for name in ("add", "max"):  # the same as in the other world
        (still.folder / name).symlink_to(world.measured(name)["measures"].parent)
    (still.folder / "tasks").symlink_to(world.folder / "tasks")
    files = still.measured("add-max/kept")
    for row in rows(files["changes"]):
        if row["measure"] != "spearman" and row["value"] is not None:
            expected = 0 if row["measure"].endswith(("turnover", "unshared")) else 1
            assert row["value"] == pytest.approx(expected, abs=1e-6), row["measure"]
    for row in rows(files["turnover"]):
        assert (row["edges_born"], row["edges_lost"], row["nodes_born"], row["nodes_lost"]) == (0, 0, 0, 0)
    assert {(row["edges_born"], row["edges_lost"]) for row in rows(files["layers"])} == {(0, 0)}
    for row in rows(files["edge_centric"]):
        assert (row["edge_change"], row["node_change"], row["p"]) == (0, 0, 1)
        assert row["verdict"] == "inconclusive"
    measured = rows(files["measures"])
    assert {tuple(row["correct"]) for row in measured if row["task"] == "add"} == {
        tuple(measured[0]["correct"])
    }
    kept = [
        row
        for row in read_table(files["overlaps"], OVERLAPS.names).to_pylist()
        if (row["before"], row["after"], row["measure"]) == ("first_before", "first_after", "edge_jaccard")
    ]
    assert [row["value"] for row in kept] == [1]


def test_each_circuit_is_judged_on_the_other_task(world):
    files = world.measured("add-max/kept")
    first, second = read_table(files["cross"], CROSS.names).to_pylist()
    assert (first["circuit_of"], first["judged_on"]) == ("first", "second")
    assert (second["circuit_of"], second["judged_on"]) == ("second", "first")
    by_place = {(row["task"], row["step"]): row for row in rows(files["measures"])}
    assert first["own_normalised"] == by_place["max", 4]["normalised"]
    assert second["own_normalised"] == by_place["add", 0]["normalised"]
    assert first["edges"] == by_place["add", 0]["edges"]
    assert second["edges"] == by_place["max", 4]["edges"]
    for row in (first, second):
        assert row["random_circuits"] == 20 and row["examples"] == 10


@pytest.mark.parametrize("variant", ["stacked", "prior", "inside", "outside", "random"])
def test_every_variant_is_measured(world, variant):
    found = rows(world.measured(f"add-max/{variant}")["measures"])
    assert len(found) == 6 and {row["variant"] for row in found} == {variant}


def test_nine_tenths_right_meet_a_threshold_of_nine_tenths(world, monkeypatch):
    right = dict.fromkeys(METRICS, torch.cat([torch.ones(54), torch.zeros(6)]))
    monkeypatch.setattr(evaluation, "evaluate_baselines", lambda *_: {"clean": right, "corrupted": right})
    assert model_columns(None, TaskPairs(range(60), range(60)), world.settings)["validation_accuracy"] >= 0.9
