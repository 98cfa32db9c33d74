import numpy as np
import pyarrow.parquet as pq
import pytest
from differential_examples import made_up_examples

from rewire.differential.tables import HEADS, LAYERS, all_sites, read_examples, write_examples
from rewire.errors import InputError


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "layers.parquet", tmp_path / "heads.parquet"


def test_what_is_written_is_read(paths):
    examples = made_up_examples(n=5, n_layers=3, n_heads=2)
    examples.heads["entropy"][2, 1, 0] = np.nan
    write_examples(examples, *paths)
    again = read_examples(*paths)
    assert again.ids == examples.ids and again.sites == examples.sites
    for mine, theirs in ((examples.layers, again.layers), (examples.heads, again.heads)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_rows_are_an_example_and_place(paths):
    examples = made_up_examples(n=3, n_layers=2, n_heads=2)
    write_examples(examples, *paths)
    layers, heads = (pq.read_table(path) for path in paths)
    assert layers.schema == LAYERS and heads.schema == HEADS
    row = layers.to_pylist()[len(examples.sites) + 2]
    assert (row["id"], row["layer"], row["site"]) == ("a1", 0, "mlp_neurons")
    assert row["norm"] == examples.layers["norm"][1, 2] and row["cka"] is None
    row = heads.to_pylist()[2 * 4 + 3]
    assert (row["id"], row["layer"], row["head"]) == ("a2", 1, 1)
    assert row["attention_js"] == examples.heads["attention_js"][2, 1, 1]


def test_sites_are_in_the_order_of_computation():
    sites = all_sites(2)
    assert sites[:4] == [(0, "residual"), (0, "attention_out"), (0, "mlp_neurons"), (0, "mlp_out")]
    assert sites[-2:] == [(2, "residual"), (2, "final_norm")] and len(sites) == 10


def test_the_same_bytes_for_the_same_results(paths, tmp_path):
    write_examples(made_up_examples(), *paths)
    first = [path.read_bytes() for path in paths]
    write_examples(made_up_examples(), *paths)
    assert [path.read_bytes() for path in paths] == first


def test_other_tables_are_named(paths, tmp_path):
    write_examples(made_up_examples(n=3), *paths)
    with pytest.raises(InputError, match="heads.parquet: not a table of the differential analysis"):
        read_examples(paths[1], paths[0])
    other = tmp_path / "other.parquet"
    write_examples(made_up_examples(n=4), tmp_path / "l.parquet", other)
    with pytest.raises(InputError, match="other.parquet: its examples are not those of .*layers.parquet"):
        read_examples(paths[0], other)
