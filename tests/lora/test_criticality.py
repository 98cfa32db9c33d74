"""Layers' change in fine-tuning, against sums by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rewire.lora.criticality import SCHEMA, differential_change, write_criticality
from rewire.models import load
from rewire.tables import read_table, write_table

WEIGHTS = {"attention_kl": 1.0, "entropy": 1.0, "hidden_state": 1.0}


def tables(kl: list[float], entropy: list[float], distance: list[float]) -> tuple[pa.Table, pa.Table]:
    """(layers, heads) of two examples and two heads a layer, with these means by layer."""
    heads = [
        {
            "id": name,
            "layer": layer,
            "head": head,
            "attention_kl": kl[layer] + sign * 0.01,
            "entropy": 2.0 + sign * entropy[layer],
            "entropy_base": 2.0,
        }
        for layer in range(len(kl))
        for name, head, sign in (("a", 0, 1), ("a", 1, -1), ("b", 0, 1), ("b", 1, -1))
    ]
    layers = [
        {"id": name, "layer": layer, "site": site, "cosine_distance": value}
        for name in "ab"
        for layer, site, value in [
            (0, "residual", 77.0),
            *((layer + 1, "residual", value) for layer, value in enumerate(distance)),
            (len(distance), "final_norm", 99.0),
        ]
    ]
    return pa.Table.from_pylist(layers), pa.Table.from_pylist(heads[::-1])


def z(values: list[float]) -> np.ndarray:
    array = np.array(values)
    return (array - array.mean()) / array.std()


def test_it_is_the_weighted_sum_of_z_scores() -> None:
    kl, entropy, distance = [1.0, 2.0, 6.0], [0.3, 0.1, 0.2], [0.5, 0.1, 0.0]
    made = tables(kl, entropy, distance)
    weights = {"attention_kl": 2.0, "entropy": 0.5, "hidden_state": 3.0}
    expected = 2 * z(kl) + 0.5 * z(entropy) + 3 * z(distance)  # entropy rises in one head, falls in the other
    assert differential_change(*made, weights) == pytest.approx(expected)


def test_a_measure_that_is_the_same_everywhere_says_nothing() -> None:
    made = tables([1.0, 2.0, 3.0], [0.25, 0.25, 0.25], [0.0, 0.0, 0.0])
    assert differential_change(*made, WEIGHTS) == pytest.approx(z([1, 2, 3]))


def test_a_model_compared_with_itself_has_no_critical_layer() -> None:
    found = differential_change(*tables([0.0] * 3, [0.0] * 3, [0.0] * 3), WEIGHTS)
    assert np.isfinite(found).all()
    assert found == pytest.approx(0, abs=1e-9)


def test_the_table(tmp_path: Path, tiny_model_folder: Path) -> None:
    import torch

    from rewire.circuits.interchange import write_scores
    from rewire.circuits.selection import Circuit, Scores

    graph = load(tiny_model_folder).graph
    generator = torch.Generator().manual_seed(0)
    values = [torch.rand(graph.n_sources, graph.n_destinations, generator=generator) for _ in range(2)]
    files = [tmp_path / f"{n}.safetensors" for n in range(2)]
    for file, value in zip(files, values, strict=True):
        scores = Scores(value, graph, "EAP", "nll", 0.0)
        write_scores(scores, Circuit(graph.mask.bool(), graph, graph.n_edges), file)
    layers, heads = tables([1.0, 2.0], [0.1, 0.2], [0.3, 0.1])
    write_table(tmp_path / "layers.parquet", layers.to_pylist(), layers.schema)
    write_table(tmp_path / "heads.parquet", heads.to_pylist(), heads.schema)
    out = tmp_path / "criticality.parquet"
    write_criticality(tmp_path / "layers.parquet", tmp_path / "heads.parquet", *files, WEIGHTS, out)
    table = read_table(out)
    assert table.schema == SCHEMA
    found = {(row["criterion"], row["layer"]): row["value"] for row in table.to_pylist()}
    assert set(found) == {
        (c, layer) for c in ("differential", "circuit", "circuit_raw") for layer in range(2)
    }
    change = (values[1] - values[0]).abs() * graph.mask
    for layer in range(2):
        own = [i for i, name in enumerate(graph.sources) if name.startswith((f"a{layer}.", f"m{layer}"))]
        assert found["circuit_raw", layer] == pytest.approx(float(change[own].sum()), rel=1e-5)
        edges = int(graph.mask[own].sum())
        assert found["circuit", layer] == pytest.approx(float(change[own].sum()) / edges, rel=1e-5)
