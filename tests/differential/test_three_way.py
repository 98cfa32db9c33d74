import numpy as np
import pyarrow.parquet as pq
import pytest
from differential_examples import made_up_examples

from rewire import statistics
from rewire.differential.tables import write_examples
from rewire.differential.three_way import SCHEMA, SIDES, write_three_way
from rewire.errors import InputError

SIZES = {"finetuned": 1.0, "lora": 0.5, "between": 0.7}


@pytest.fixture
def sides(tmp_path):
    paths = {}
    for seed, name in enumerate(SIDES):
        paths[name] = (tmp_path / f"{name}-layers.parquet", tmp_path / f"{name}-heads.parquet")
        write_examples(made_up_examples(size=SIZES[name], seed=seed), *paths[name])
    return paths


def test_three_summaries_and_the_paired_difference(sides, tmp_path):
    write_three_way(sides, 300, tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.schema == SCHEMA
    frame = table.to_pandas()
    assert list(dict.fromkeys(frame["comparison"])) == [*SIDES, "lora-finetuned"]
    at = frame[(frame["measure"] == "attention_kl") & (frame["family"] == "layers") & (frame["layer"] == 2)]
    rows = at.set_index("comparison")
    a, b = (
        made_up_examples(size=SIZES[n], seed=s).heads["attention_kl"].mean(axis=2)[:, 2]
        for s, n in enumerate(SIDES[:2])
    )
    assert rows.loc["finetuned", "value"] == pytest.approx(a.mean())
    assert rows.loc["lora", "value"] == pytest.approx(b.mean())
    difference = statistics.mean_difference(b, a)
    found = rows.loc["lora-finetuned", ["value", "low", "high"]].tolist()
    assert found == pytest.approx([difference.value, difference.low, difference.high])
    assert rows.loc["lora-finetuned", "q"] < 0.05 and np.isnan(rows.loc["finetuned", "p"])


def test_the_same_comparison_twice_differs_nowhere(sides, tmp_path):
    write_three_way(sides | {"lora": sides["finetuned"]}, 300, tmp_path / "t.parquet")
    frame = pq.read_table(tmp_path / "t.parquet").to_pandas()
    difference = frame[frame["comparison"] == "lora-finetuned"]
    assert (difference["value"] == 0).all() and (difference["p"] == 1).all()


@pytest.mark.parametrize("change", [{"n": 9}, {"n_layers": 3}])
def test_other_examples_or_layers_are_refused(change, sides, tmp_path):
    write_examples(made_up_examples(**change), *sides["lora"])
    with pytest.raises(InputError, match="lora-layers.parquet: its examples or layers are not those of"):
        write_three_way(sides, 300, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()
