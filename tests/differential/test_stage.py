"""The stage from folders to tables, an adapter too."""

import pyarrow.parquet as pq
import pytest

from rewire.differential import critical_layers, neurons, stage, summary, tables, weights
from rewire.errors import InputError
from rewire.tables import schema, write_table

SETTINGS = {
    "positions": 8,
    "batch_tokens": 64,
    "permutations": 100,
    "critical_layers": {"attention_kl": 1, "entropy": 1, "activation": 1},
}
SCHEMAS = {
    "layers": tables.LAYERS,
    "heads": tables.HEADS,
    "neurons": neurons.SCHEMA,
    "weights": weights.SCHEMA,
    "summary": summary.SCHEMA,
    "critical_layers": critical_layers.SCHEMA,
}


def write_pairs(path, sequences):
    rows = [
        {"id": f"art-{i}", "clean": tokens, "corrupted": tokens, "target_start": len(tokens) - 1}
        for i, tokens in enumerate(sequences)
    ]
    columns = schema(id="string", clean="list<int64>", corrupted="list<int64>", target_start="int32")
    write_table(path, rows, columns)
    return path


@pytest.fixture
def pair_table(tmp_path, pairs):
    tokens = [row[:n].tolist() for row, n in zip(pairs.clean, pairs.lengths.tolist(), strict=True)]
    return write_pairs(tmp_path / "pairs.parquet", tokens)


@pytest.fixture
def outputs(tmp_path):
    return {name: tmp_path / "out" / f"{name}.parquet" for name in SCHEMAS}


def test_every_table_is_written_the_same_twice(folders, pair_table, outputs):
    stage.write_differential(*folders, pair_table, SETTINGS, outputs)
    for name, path in outputs.items():
        assert pq.read_schema(path) == SCHEMAS[name], name
    assert pq.read_table(outputs["heads"])["id"].unique().to_pylist() == [f"art-{i}" for i in range(5)]
    before = {name: path.read_bytes() for name, path in outputs.items()}
    stage.write_differential(*folders, pair_table, SETTINGS, outputs)
    assert {name: path.read_bytes() for name, path in outputs.items()} == before


def test_the_last_token_is_predicted_not_read(folders, tmp_path, outputs):
    """Whatever it is, the numbers are the same; one token more than the context (16) fits, two do not."""
    found = []
    for last in (3, 7):
        path = write_pairs(tmp_path / f"{last}.parquet", [[*range(16), last], [*range(9), last]])
        stage.write_differential(*folders, path, SETTINGS, outputs)
        found.append({name: path.read_bytes() for name, path in outputs.items()})
    assert found[0] == found[1]
    longer = write_pairs(tmp_path / "longer.parquet", [[*range(18)]])
    with pytest.raises(InputError, match="17 tokens"):
        stage.write_differential(*folders, longer, SETTINGS, outputs)


@pytest.mark.parametrize("options", [{"n_layer": 3}, {"n_positions": 32}, {"tie_word_embeddings": False}])
def test_a_model_of_another_shape_leaves_nothing(options, make_model, folders, pair_table, outputs, tmp_path):
    other = make_model(tmp_path / "other", 0, **options)
    with pytest.raises(InputError, match=rf"^{other}: its shape is not that of {folders[0]}"):
        stage.write_differential(folders[0], other, pair_table, SETTINGS, outputs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "work", ["compare", "weight_changes", "summary_rows", "critical_layers.layer_changes"]
)
def test_nothing_is_written_before_all_is_worked_out(
    work, folders, pair_table, outputs, tmp_path, monkeypatch
):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(
        f"rewire.differential.{work}" if "." in work else f"rewire.differential.stage.{work}", fail
    )
    with pytest.raises(MemoryError):
        stage.write_differential(*folders, pair_table, SETTINGS, outputs)
    assert not (tmp_path / "out").exists()
