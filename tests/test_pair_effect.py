"""How much a corruption hurts, and a model that is not finite."""

import pyarrow.parquet as pq
import pytest
import torch
from circuits.random_models import random_pairs, save_random_model
from transformers import AutoModelForCausalLM

from rewire.circuits.evaluation import evaluate_baselines
from rewire.errors import InputError
from rewire.models import load
from rewire.pair_effect import SCHEMA, write_effects
from rewire.tables import schema, write_table


@pytest.fixture
def folder(tmp_path):
    return save_random_model(tmp_path / "model", "gpt2")


@pytest.fixture
def pair_table(tmp_path):
    pairs, path = random_pairs(), tmp_path / "mask.parquet"
    rows = [
        {
            "id": f"art-{i}",
            "clean": pairs.clean[i, :n].tolist(),
            "corrupted": pairs.corrupted[i, :n].tolist(),
            "target_start": n - 2,
        }
        for i, n in enumerate(pairs.lengths.tolist())
    ]
    columns = schema(id="string", clean="list<int64>", corrupted="list<int64>", target_start="int32")
    write_table(path, rows, columns)
    return path


def test_a_row_a_checkpoint_corruption_and_example(folder, pair_table, tmp_path):
    path = tmp_path / "effects.parquet"
    write_effects({"base": folder, "final": folder}, {"mask": pair_table}, path)
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    assert table["checkpoint"].to_pylist() == ["base"] * 3 + ["final"] * 3
    assert table["id"].to_pylist() == ["art-0", "art-1", "art-2"] * 2
    values = evaluate_baselines(load(folder), random_pairs())
    for run in ("clean", "corrupted"):
        assert table[f"nll_{run}"].to_pylist()[:3] == pytest.approx(values[run]["nll"].tolist())


def test_a_model_that_is_not_finite_is_named_with_its_pairs(folder, pair_table, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.bias[2] = float("nan")
    broken, path = tmp_path / "broken", tmp_path / "effects.parquet"
    model.save_pretrained(broken)
    message = (
        rf"^{broken} on {pair_table}: example 1: its clean run is not finite from layer 0 \(mlp_out\) on$"
    )
    with pytest.raises(InputError, match=message):
        write_effects({"base": folder, "final": broken}, {"mask": pair_table}, path)
    assert not path.exists()
