import pyarrow.parquet as pq
import pytest
from circuits.score_worlds import GRAPH, SIZE
from evolution.conftest import SETTINGS, STEPS

from rewire.evolution.stage import write_evolution

TABLES = ("circuits", "changes", "layers", "edges", "edge_centric")


@pytest.fixture
def write(files, tmp_path):
    def run(folder: str, keep: bool = True, **changed):
        paths = {name: tmp_path / folder / f"{name}.parquet" for name in TABLES}
        write_evolution(files(keep), STEPS, SETTINGS | changed, paths)
        return paths

    return run


def test_five_tables_with_the_same_bytes_every_time(write):
    one, two = write("one"), write("two")
    for name in TABLES:
        assert one[name].read_bytes() == two[name].read_bytes(), name
    rows = {name: pq.read_table(path).num_rows for name, path in one.items()}
    # 4 comparisons; 8 measures; 4 layers at either end (3 blocks and the input or the logits)
    assert rows.pop("edges") >= 3 * SIZE
    assert rows == {"circuits": 4, "changes": 4 * 8, "layers": 4 * 8, "edge_centric": 4}
    other = write("other", seed=1)
    assert other["changes"].read_bytes() != one["changes"].read_bytes()
    assert other["circuits"].read_bytes() == one["circuits"].read_bytes()


def test_without_the_scores_of_each_example_there_is_change_but_no_noise_floor(write):
    paths = write("means", keep=False)
    changes = pq.read_table(paths["changes"]).to_pandas()
    assert changes["value"].notna().all() and (changes["examples"] == 1).all()
    assert changes[["low", "high", "floor", "reference_floor"]].isna().all(axis=None)
    assert changes.loc[changes["measure"] == "edge_jaccard", "random"].between(0, 1).all()
    tested = pq.read_table(paths["edge_centric"]).to_pandas()
    assert (tested["verdict"] == "inconclusive").all()
    unknown = ["p", "q", "statistic", "false_positives", "reference_false_positives", "reference_power"]
    assert tested[unknown].isna().all(axis=None)
    assert tested["edge_change"].gt(0).all()


def test_the_listed_circuits_are_those_that_are_counted(write):
    paths = write("one")
    edges, counted = (pq.read_table(paths[name]).to_pandas() for name in ("edges", "circuits"))
    listed = {name: set(own["edge"]) for name, own in edges.groupby("checkpoint")}
    assert set(listed) == set(STEPS) and (edges["layers"] == GRAPH.n_layers).all()
    for row in counted.itertuples():
        after, before = listed[row.checkpoint], listed[row.reference_checkpoint]
        assert (len(after), len(after - before), len(before - after)) == (
            row.edges,
            row.edges_born,
            row.edges_lost,
        )
    assert counted["edges_born"].sum() > 0
