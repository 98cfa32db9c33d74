"""The whole job on a small random model, against evaluations made here."""

import shutil

import numpy as np
import pandas as pd
import pytest

from rewire.circuits import attribution, evaluation, interchange
from rewire.circuits.selection import top_n
from rewire.errors import InputError
from rewire.faithfulness.cross_fitting import OPTIONS, cross_fits
from rewire.faithfulness.curve import write_faithfulness
from rewire.pairs import read_pairs
from rewire.tables import read_table

SETTINGS = {"fractions": [1.0, 0.1, 0.3], "random": 20, "folds": 3, "seed": 0, "batch_tokens": 64}


def run(stage, circuits, target, folder=None, other=True, **changes):
    folder = folder or stage.folder
    write_faithfulness(
        stage.folder / "model",
        folder / "pairs.parquet",
        stage.folder / "other.parquet" if other else None,
        folder / "scores.safetensors",
        circuits,
        SETTINGS | changes,
        target / "curve.parquet",
        target / "areas.parquet",
    )
    return [read_table(target / f"{name}.parquet").to_pandas() for name in ("curve", "areas")]


@pytest.fixture(scope="module")
def tables(stage, circuits, tmp_path_factory):
    return run(stage, circuits, tmp_path_factory.mktemp("curve"))


@pytest.fixture(scope="module")
def scores(stage):
    return interchange.read_scores(stage.folder / "scores.safetensors")[0]


def row(table, circuit, ranking="absolute", fraction=0.3, draw=0):
    at = (table["circuit"] == circuit) & (table["ranking"] == ranking) & (table["draw"] == draw)
    return table[at & np.isclose(table["fraction"], fraction)].iloc[0]


def nll(stage, circuit, pairs=None):
    values = evaluation.evaluate(stage.model, [circuit], pairs or stage.pairs, ["nll"])["nll"]
    return values[0].double().numpy()


def test_pairs_after_those_that_were_scored_do_not_count(stage, circuits, few, tmp_path_factory):
    folder = few(9)
    expected = run(stage, circuits, folder, folder, other=False)
    shutil.copy(stage.folder / "pairs.parquet", folder / "pairs.parquet")  # the same nine and three more
    found = run(stage, circuits, tmp_path_factory.mktemp("first"), folder, other=False)
    for one, other in zip(found, expected, strict=True):
        assert (one["examples"] == 9).all()
        pd.testing.assert_frame_equal(one, other)


def test_every_kind_is_at_every_fraction(tables):
    curve, _ = tables
    counts = curve.groupby(["circuit", "ranking"]).size().to_dict()
    expected = {
        (kind, r): 3 for kind in ("circuit", "held-out", "other-task") for r in ("absolute", "signed")
    }
    assert counts == expected | {("random", "absolute"): 60}
    assert set(curve["circuit"]) - {"circuit", "held-out", "other-task", "random"} == {"clean", "corrupted"}
    for fraction in SETTINGS["fractions"]:
        edges = row(curve, "circuit", fraction=fraction)["edges"]
        assert all(row(curve, "random", fraction=fraction, draw=d)["edges"] == edges for d in range(20))


def test_the_ends_of_the_scale(tables):
    curve, _ = tables
    for kind in ("circuit", "held-out", "other-task"):
        whole = row(curve, kind, fraction=1.0)
        assert whole["normalised"] == pytest.approx(1, abs=1e-3) and whole["kl"] == pytest.approx(0, abs=1e-5)
        assert whole["accuracy_ratio"] == 1 or np.isnan(whole["accuracy_ratio"])
    scale = curve.set_index("circuit")
    assert scale.loc[["clean", "corrupted"], "normalised"].tolist() == pytest.approx([1, 0], abs=1e-9)
    assert scale.loc["corrupted", "nll_excess"] == pytest.approx(
        np.mean(scale.loc["corrupted", "nll"]) - np.mean(scale.loc["clean", "nll"])
    )


def test_kl_percentage_follows_from_each_examples_divergence(tables):
    curve, _ = tables
    far = np.mean(curve.set_index("circuit").loc["clean", "kl_corrupted"])
    for kind in ("circuit", "held-out", "random"):
        found = row(curve, kind)
        reached = np.mean(found["kl_corrupted"])
        assert found["kl_percentage"] == pytest.approx(100 * (1 - abs(far - reached) / far))


def test_the_circuit_in_sample_is_the_one_of_the_scores(tables, stage, scores):
    curve, _ = tables
    for ranking in ("absolute", "signed"):
        circuit = top_n(scores, round(0.3 * scores.graph.n_edges), ranking == "absolute")
        found = row(curve, "circuit", ranking)
        assert found["nll"] == pytest.approx(nll(stage, circuit), abs=1e-5)
        assert found["edges"] == circuit.n_edges


def test_a_held_out_example_is_judged_by_the_circuit_of_the_other_folds(tables, stage, scores):
    curve, _ = tables
    found = row(curve, "held-out")["nll"]
    size = round(0.3 * scores.graph.n_edges)
    for index, fitted in cross_fits(scores, 3, seed=0):
        expected = nll(stage, top_n(fitted, size), stage.pairs.subset(index))
        assert found[index.numpy()] == pytest.approx(expected, abs=1e-5)


def test_the_other_tasks_circuit_is_found_on_its_pairs_and_judged_on_ours(tables, stage, circuits):
    curve, _ = tables
    _, other = read_pairs(stage.folder / "other.parquet")
    theirs = attribution.attribute(stage.model, other, **{key: circuits[key] for key in OPTIONS})
    circuit = top_n(theirs, round(0.3 * theirs.graph.n_edges))
    assert row(curve, "other-task")["nll"] == pytest.approx(nll(stage, circuit), abs=1e-5)


def test_without_another_task_there_is_no_row_of_it(tables, stage, circuits, tmp_path):
    curve, areas = run(stage, circuits, tmp_path, other=False)
    assert "other-task" not in set(curve["circuit"]) | set(areas["circuit"])
    full, _ = tables
    assert row(curve, "held-out")["normalised"] == row(full, "held-out")["normalised"]


def test_the_same_input_gives_the_same_bytes_in_batches_of_any_size(tables, stage, circuits, tmp_path):
    for name, changes in (("one", {}), ("two", {}), ("three", {"batch_tokens": 1000})):
        run(stage, circuits, tmp_path / name, **changes)
    for table in ("curve", "areas"):
        one, two = (tmp_path / name / f"{table}.parquet" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    other = read_table(tmp_path / "three" / "curve.parquet").to_pandas()
    assert other["kl"].to_numpy() == pytest.approx(tables[0]["kl"].to_numpy(), abs=1e-5)


def test_few_examples_give_no_interval_and_one_none_at_all(stage, circuits, few, tmp_path):
    curve, areas = run(stage, circuits, tmp_path, few(3))
    assert curve["normalised"].notna().all() and curve["normalised_low"].isna().all()
    assert areas["value"].notna().all() and areas["low"].isna().all()
    folder = few(1)
    (tmp_path / "curve.parquet").unlink()
    with pytest.raises(InputError, match="1 pair"):
        run(stage, circuits, tmp_path, folder)
    assert not (tmp_path / "curve.parquet").exists()


def test_held_out_circuits_are_not_the_in_sample_ones(tables):
    curve, _ = tables
    assert not np.allclose(row(curve, "held-out")["nll"], row(curve, "circuit")["nll"])
