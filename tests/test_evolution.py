import pyarrow.parquet as pq
import pytest
import torch

from rewire.circuits.graph import Graph
from rewire.circuits.interchange import write_scores
from rewire.circuits.selection import Scores, top_n
from rewire.errors import InputError
from rewire.evolution import write_evolution


def save(path, graph, seed):
    values = torch.randn(graph.mask.shape, generator=torch.Generator().manual_seed(seed)) * graph.mask
    scores = Scores(values, graph, "EAP", "nll", 0.1)
    circuit = top_n(scores, 30)
    write_scores(scores, circuit, path)
    return circuit


def test_each_checkpoint_against_the_previous_and_the_base(tmp_path):
    graph = Graph(3, 2, 8)
    names = ["base", "step-000010", "final"]
    circuits = {name: save(tmp_path / name, graph, seed) for seed, name in enumerate(names)}
    files = {name: tmp_path / name for name in names}
    write_evolution(files, {"base": 0, "step-000010": 10, "final": 20}, tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(r["checkpoint"], r["step"], r["reference"], r["reference_checkpoint"]) for r in rows] == [
        ("step-000010", 10, "previous", "base"),
        ("step-000010", 10, "base", "base"),
        ("final", 20, "previous", "step-000010"),
        ("final", 20, "base", "base"),
    ]
    for row in rows:
        a, b = circuits[row["reference_checkpoint"]].mask, circuits[row["checkpoint"]].mask
        both = int((a & b).sum())
        assert row["edge_jaccard"] == both / int((a | b).sum())
        assert row["edges_born"] == int(b.sum()) - both and row["edges_lost"] == int(a.sum()) - both
        assert row["edges"] == int(b.sum())


def test_a_run_that_changes_nothing_has_jaccard_one(tmp_path):
    graph = Graph(2, 2, 8)
    for name in ("base", "final"):
        save(tmp_path / name, graph, 0)
    files = {name: tmp_path / name for name in ("base", "final")}
    write_evolution(files, {"base": 0, "final": 5}, tmp_path / "out.parquet")
    for row in pq.read_table(tmp_path / "out.parquet").to_pylist():
        assert row["edge_jaccard"] == row["node_jaccard"] == 1 and row["edges_born"] == row["nodes_lost"] == 0


def test_checkpoints_of_different_models_are_refused(tmp_path):
    save(tmp_path / "base", Graph(3, 2, 8), 0)
    save(tmp_path / "final", Graph(4, 2, 8), 0)
    files = {name: tmp_path / name for name in ("base", "final")}
    with pytest.raises(InputError, match="base, final"):
        write_evolution(files, {"base": 0, "final": 5}, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
