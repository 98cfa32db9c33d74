"""Layers' change in fine-tuning: what the differential analysis found, and the circuit's change against sums by hand."""

from pathlib import Path

import pytest
import torch

from rewire.circuits.interchange import write_scores
from rewire.circuits.selection import Circuit, Scores
from rewire.differential.critical_layers import SCHEMA as CRITICAL_LAYERS
from rewire.errors import InputError
from rewire.lora.criticality import SCHEMA, write_criticality
from rewire.models import load
from rewire.tables import read_table, write_table


@pytest.fixture
def scores(
    tmp_path: Path, tiny_model_folder: Path
) -> tuple[list[Path], list[torch.Tensor], torch.Tensor, list[str]]:
    """Score files before and after, their values, the edge mask and the names of the sources."""
    graph = load(tiny_model_folder).graph
    generator = torch.Generator().manual_seed(0)
    values = [torch.rand(graph.n_sources, graph.n_destinations, generator=generator) for _ in range(2)]
    files = [tmp_path / f"{n}.safetensors" for n in range(2)]
    for file, value in zip(files, values, strict=True):
        whole = Circuit(graph.mask.bool(), graph, graph.n_edges)
        write_scores(Scores(value, graph, "EAP", "nll", 0.0), whole, file)
    return files, values, graph.mask, graph.sources


def critical_layers(path: Path, found: list[float]) -> Path:
    rows = [
        {"layer": i, "score": score, "n": 8, "p": 0.01 * i, "q": 0.02 * i} for i, score in enumerate(found)
    ]
    write_table(path, rows, CRITICAL_LAYERS)
    return path


def test_the_table(tmp_path: Path, scores: tuple) -> None:
    files, values, mask, sources = scores
    out = tmp_path / "criticality.parquet"
    write_criticality(critical_layers(tmp_path / "critical.parquet", [1.5, -0.5]), *files, out)
    table = read_table(out)
    assert table.schema == SCHEMA
    rows = {(row["criterion"], row["layer"]): row for row in table.to_pylist() if row["head"] is None}
    heads = {
        (row["criterion"], row["layer"], row["head"]): row
        for row in table.to_pylist()
        if row["head"] is not None
    }
    assert len(rows) + len(heads) == table.num_rows
    assert set(heads) == {(c, at, h) for c in ("circuit", "circuit_raw") for at in range(2) for h in range(2)}
    assert set(rows) == {(c, layer) for c in ("differential", "circuit", "circuit_raw") for layer in range(2)}
    assert [rows["differential", layer]["value"] for layer in range(2)] == [1.5, -0.5]
    assert (rows["differential", 1]["p"], rows["differential", 1]["q"]) == (0.01, 0.02)
    change = (values[1] - values[0]).abs() * mask
    for layer in range(2):
        own = [i for i, name in enumerate(sources) if name.startswith((f"a{layer}.", f"m{layer}"))]
        raw, edges = float(change[own].sum()), int(mask[own].sum())
        assert rows["circuit_raw", layer]["value"] == pytest.approx(raw, rel=1e-5)
        assert rows["circuit", layer]["value"] == pytest.approx(raw / edges, rel=1e-5)
        assert rows["circuit", layer]["p"] is None
        for head in range(2):
            source = sources.index(f"a{layer}.h{head}")
            raw, edges = float(change[source].sum()), int(mask[source].sum())
            assert heads["circuit_raw", layer, head]["value"] == pytest.approx(raw, rel=1e-5)
            assert heads["circuit", layer, head]["value"] == pytest.approx(raw / edges, rel=1e-5)
            assert heads["circuit", layer, head]["q"] is None


def test_layers_of_another_model_are_refused(tmp_path: Path, scores: tuple) -> None:
    out = tmp_path / "criticality.parquet"
    with pytest.raises(InputError, match="critical.parquet: 3 layers; the circuit has 2"):
        write_criticality(critical_layers(tmp_path / "critical.parquet", [1.0, 2.0, 3.0]), *scores[0], out)
    assert not out.exists()
