import pyarrow.parquet as pq
import pytest
from differential_examples import made_up_tables

from rewire.differential.trajectories import SCHEMA, write_trajectories
from rewire.errors import InputError
from rewire.tables import schema, write_table

STEPS = {"base": 0, "step-000010": 10, "final": 30}


@pytest.fixture
def tables(tmp_path):
    return {name: made_up_tables(tmp_path / name, STEPS[name] / 30) for name in ("step-000010", "final")}


@pytest.fixture
def training(tmp_path):
    rows = [{"step": step, "gradient_norm": None if step == 0 else 1.0 / step} for step in (0, 5, 10, 30)]
    write_table(tmp_path / "training.parquet", rows, schema(step="int64", gradient_norm="float64"))
    return tmp_path / "training.parquet"


def written(tables, training, path):
    write_trajectories(tables, STEPS, training, path)
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    return table.to_pandas()


def test_every_checkpoints_summary_with_its_step(tables, training, tmp_path):
    table = written(tables, training, tmp_path / "t.parquet")
    for name in tables:
        summary = pq.read_table(tables[name]["summary"]).to_pandas()
        own = table[(table["checkpoint"] == name) & table["family"].isin(["layers", "heads", "model"])]
        assert (own["step"] == STEPS[name]).all()
        assert own["value"].tolist() == summary["value"].tolist() and own["q"].equals(own["q"])
    assert list(dict.fromkeys(table["checkpoint"].dropna())) == list(tables)


def test_neurons_weights_and_gradient(tables, training, tmp_path):
    table = written(tables, training, tmp_path / "t.parquet")
    neurons = pq.read_table(tables["final"]["neurons"]).to_pandas()
    own = neurons[neurons["layer"] == 1]
    at = table[(table["checkpoint"] == "final") & (table["layer"] == 1)].set_index("measure")["value"]
    assert at["share_of_changed_neurons"] == (own["q"] < 0.05).mean()
    assert at["mean_absolute_cohens_d"] == pytest.approx(own["cohens_d"].abs().mean())
    weights = table[(table["measure"] == "weight_change") & (table["checkpoint"] == "final")]
    assert len(weights) == 9 and weights["value"].tolist() == pytest.approx([0.05] * 9)
    gradient = table[table["measure"] == "gradient_norm"]
    assert gradient["step"].tolist() == [5, 10, 30] and gradient["value"].tolist() == [0.2, 0.1, 1 / 30]
    assert gradient["checkpoint"].isna().all()


def test_without_training_there_is_no_gradient(tables, tmp_path):
    assert "gradient_norm" not in set(written(tables, None, tmp_path / "t.parquet")["measure"])


def test_too_few_examples_have_no_share_of_changed_neurons(tmp_path):
    tables = {"final": made_up_tables(tmp_path / "few", n=4)}
    table = written(tables, None, tmp_path / "t.parquet")
    shares = table[table["measure"] == "share_of_changed_neurons"]
    assert shares["value"].isna().all() and (shares["n"] == 4).all()


def test_a_table_without_a_column_is_named(tables, tmp_path):
    write_table(tmp_path / "bad.parquet", [{"step": 1}], schema(step="int64"))
    with pytest.raises(InputError, match="bad.parquet: no column 'gradient_norm'"):
        write_trajectories(tables, STEPS, tmp_path / "bad.parquet", tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()
