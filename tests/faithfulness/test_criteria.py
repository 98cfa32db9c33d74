"""Necessity, completeness and minimality of a small random model's circuits, against evaluations made here."""

import numpy as np
import pytest
import torch

from rewire.circuits import evaluation
from rewire.circuits.controls import complement
from rewire.circuits.selection import Circuit, empty, whole
from rewire.errors import InputError
from rewire.faithfulness import completeness, minimality, necessity
from rewire.faithfulness.criteria import write_criteria
from rewire.faithfulness.trial import Trial, as_low, prepare
from rewire.tables import read_table

SETTINGS = {
    "random": 20,
    "knockouts": 3,
    "greedy": 1,
    "dropped_edges": 1000,
    "seed": 0,
    "batch_tokens": 64,
}


@pytest.fixture(scope="module")
def trial(stage, circuits):
    return prepare(stage.model, stage.pairs, stage.folder / "scores.safetensors", circuits, SETTINGS)


def trial_of(trial: Trial, circuit: Circuit) -> Trial:
    return Trial(trial.model, trial.scored, trial.judged, circuit, [circuit] * 2, 0, 64)


def mean_nll(trial, circuit):
    return float(evaluation.evaluate(trial.model, [circuit], trial.judged, ["nll"])["nll"].mean())


def test_one_half_scores_and_the_other_judges(trial, stage):
    halves = [{tuple(row) for row in half.clean.tolist()} for half in (trial.scored, trial.judged)]
    everything = {tuple(row) for row in stage.pairs.clean.tolist()}
    assert halves[0] | halves[1] == everything and not halves[0] & halves[1]
    assert len(trial.scored) == len(trial.judged) == 6
    assert {random.n_edges for random in trial.random} == {trial.circuit.n_edges}
    assert len({tuple(random.mask.flatten().tolist()) for random in trial.random}) == 20


def test_necessity_is_f_of_the_complement(trial):
    own, *null = necessity.rows(trial)
    everything, nothing = (mean_nll(trial, c(trial.circuit.graph)) for c in (whole, empty))

    def f(circuit):
        return (mean_nll(trial, circuit) - nothing) / (everything - nothing)

    assert own["value"] == pytest.approx(f(complement(trial.circuit)), abs=1e-4)
    for row, circuit in zip(null, trial.random, strict=True):
        assert row["value"] == pytest.approx(f(complement(circuit)), abs=1e-4)
    assert own["p"] == pytest.approx((1 + sum(row["value"] <= own["value"] for row in null)) / 21)


def test_without_the_whole_model_nothing_is_left_and_without_nothing_everything(trial):
    graph = trial.circuit.graph
    assert next(necessity.rows(trial_of(trial, whole(graph))))["value"] == pytest.approx(0, abs=1e-4)
    assert next(necessity.rows(trial_of(trial, empty(graph))))["value"] == pytest.approx(1, abs=1e-4)


def test_the_whole_model_is_complete(trial):
    rows = list(completeness.rows(trial_of(trial, whole(trial.circuit.graph)), sets=3, size=2))
    assert [row["value"] for row in rows] == pytest.approx([0] * len(rows), abs=1e-5)


def test_completeness_by_hand(trial):
    nodes = trial.circuit.nodes.nonzero().flatten().tolist()
    greedy = [row for row in completeness.rows(trial, sets=3, size=1) if "removed" in row]
    own = next(row for row in greedy if row["circuit"] == "circuit")
    graph = trial.circuit.graph
    node = graph.sources.index(own["removed"])
    assert node in nodes and node != 0
    kept = torch.ones(graph.mask.shape, dtype=torch.bool)
    kept[node] = False
    kept[:, :-1][:, graph.destination_node[:-1] == node] = False
    without = [Circuit(mask & kept, graph, 0) for mask in (graph.mask, trial.circuit.mask)]
    model, circuit = (mean_nll(trial, part) for part in without)
    assert own["value"] == pytest.approx(abs(model - circuit), abs=1e-5)


def test_completeness_comes_with_the_gap_of_every_random_circuit(trial):
    rows = [row for row in completeness.rows(trial, sets=2, size=1) if "random" in row["criterion"]]
    assert [row["circuit"] for row in rows] == ["circuit"] + ["random"] * 20
    null = [row["value"] for row in rows[1:]]
    assert rows[0]["p"] == as_low(rows[0]["value"], null)
    assert all(row["low"] <= row["high"] for row in rows)


def test_minimality_is_the_effect_of_dropping_each_edge(trial):
    rows = list(minimality.rows(trial, most=1000))
    own = [row for row in rows if row["circuit"] == "circuit"]
    graph = trial.circuit.graph
    assert {row["removed"] for row in own} == {
        graph.edge_name(u, v) for u, v in trial.circuit.mask.nonzero().tolist()
    }
    before = mean_nll(trial, trial.circuit)
    u, v = trial.circuit.mask.nonzero()[3].tolist()
    mask = trial.circuit.mask.clone()
    mask[u, v] = False
    row = next(row for row in own if row["removed"] == graph.edge_name(u, v))
    assert row["value"] == pytest.approx(mean_nll(trial, Circuit(mask, graph, 0)) - before, abs=1e-5)
    assert all(row["p"] <= row["q"] <= 1 for row in own)
    null = [row for row in rows if row["circuit"] == "random"]
    assert {row["draw"] for row in null} <= set(range(20)) and len(null) >= len(own) // 2


def test_of_a_large_circuit_some_edges_are_dropped(trial):
    own = [row["removed"] for row in minimality.rows(trial, most=4) if row["circuit"] == "circuit"]
    assert len(set(own)) == 4
    assert own == [row["removed"] for row in minimality.rows(trial, most=4) if row["circuit"] == "circuit"]


def test_a_value_below_every_random_one_has_the_smallest_p():
    assert as_low(0.0, np.arange(1, 20)) == 1 / 20
    assert as_low(5.0, np.arange(1, 20)) == 6 / 20


def write(stage, circuits, path, folder=None, **changes):
    folder = folder or stage.folder
    scores = folder / "scores.safetensors"
    write_criteria(
        stage.folder / "model", folder / "pairs.parquet", scores, circuits | changes, SETTINGS, path
    )
    return read_table(path).to_pandas()


def test_one_table_of_all_criteria_and_the_same_bytes(stage, circuits, tmp_path):
    table = write(stage, circuits, tmp_path / "one.parquet")
    write(stage, circuits, tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    kinds = {"necessity", "completeness, random", "completeness, greedy", "minimality"}
    assert set(table["criterion"]) == kinds and set(table["examples"]) == {6}
    assert set(table.loc[table["circuit"] == "random", "criterion"]) == kinds


def test_a_circuit_without_edges_is_judged_too(stage, circuits, tmp_path):
    table = write(stage, circuits, tmp_path / "none.parquet", fraction=0.0).set_index("criterion")
    assert (table.loc["necessity", "value"] - 1).abs().max() < 1e-4 and "minimality" not in table.index
    assert set(table["edges"]) == {0}


def test_few_examples_give_no_interval_and_one_is_an_error(stage, circuits, few, tmp_path):
    table = write(stage, circuits, tmp_path / "few.parquet", few(6))
    assert table["value"].notna().all() and table["low"].isna().all()
    folder = few(1)
    with pytest.raises(InputError, match="1 pair"):
        write(stage, circuits, tmp_path / "one.parquet", folder)
    assert not (tmp_path / "one.parquet").exists()
