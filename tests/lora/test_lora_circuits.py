"""Adapted models' circuits against base, last checkpoint and each other."""

import numpy as np
import pytest
from circuits.score_worlds import effects, examples, rewired
from evolution.conftest import SETTINGS, save_scores

from rewire.errors import InputError
from rewire.lora.circuits import MEASURES, SCHEMA, write_adapted_circuits
from rewire.tables import read_table


@pytest.fixture
def files(tmp_path):
    """``same`` has the last checkpoint's effects on other data, ``other`` those of the base."""
    changed = rewired(effects(0), 0)
    true = {"base": (effects(0), 0), "final": (changed, 1), "same": (changed, 2), "other": (effects(0), 3)}
    return {
        name: save_scores(tmp_path / f"{name}.safetensors", examples(scores, 24, seed))
        for name, (scores, seed) in true.items()
    }


@pytest.fixture
def table(files, tmp_path):
    write_adapted_circuits(files, SETTINGS, tmp_path / "circuits.parquet")
    found = read_table(tmp_path / "circuits.parquet")
    assert found.schema == SCHEMA
    return found.to_pandas().set_index(["model", "reference", "measure"])


def test_every_pair_once(table):
    pairs = list(dict.fromkeys((model, reference) for model, reference, _ in table.index))
    assert pairs == [
        ("final", "base"),
        ("same", "base"),
        ("other", "base"),
        ("same", "final"),
        ("other", "final"),
        ("other", "same"),
    ]
    assert len(table) == len(pairs) * len(MEASURES)
    assert (table["examples"] == 24).all()


def test_who_ends_in_whose_circuit(table):
    """The model with the last checkpoint's effects is within the noise floor of it, and beyond that of the base."""
    same, moved = table.loc[("same", "final", "edge_jaccard")], table.loc[("same", "base", "edge_jaccard")]
    assert same["value"] >= min(same["floor_low"], same["reference_floor_low"])
    assert moved["high"] < min(moved["floor_low"], moved["reference_floor_low"])
    assert table.loc[("other", "base", "edge_jaccard")]["value"] > moved["value"]


def test_intervals_against_base_and_last_alone(table):
    among = table.loc[[("other", "same", measure) for measure in MEASURES]]
    assert among["value"].notna().all()
    assert among[["low", "high", "floor", "random"]].isna().all(axis=None)
    rest = table.drop(index=among.index)
    assert (rest["low"] <= rest["high"]).all()
    assert rest["floor"].notna().all()


def test_same_files_same_bytes_and_a_model_against_itself(files, tmp_path):
    paths = [tmp_path / f"{i}.parquet" for i in range(2)]
    for path in paths:
        write_adapted_circuits(files | {"final": files["base"]}, SETTINGS, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = read_table(paths[0]).to_pandas()
    itself = found[(found["model"] == "final") & (found["reference"] == "base")]
    np.testing.assert_allclose(itself["value"], 1)


def test_scores_of_other_examples_are_named(files, tmp_path):
    few = save_scores(tmp_path / "few.safetensors", examples(effects(0), 6, 0))
    with pytest.raises(InputError, match=r"checkpoints base, final, same, other: their numbers of examples"):
        write_adapted_circuits(files | {"other": few}, SETTINGS, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
