import numpy as np
import pytest
import torch

from rewire.circuits.graph import Graph
from rewire.circuits.selection import Scores
from rewire.faithfulness import METRICS, measures, normalised, sweep

SETTINGS = {"fractions": [0.1, 0.5, 1.0], "random": 20, "seed": 0}


def whole(generator):
    clean = {metric: torch.rand(12, generator=generator) for metric in METRICS}
    corrupted = {metric: torch.rand(12, generator=generator) + 2 for metric in METRICS}
    return {"clean": clean, "corrupted": corrupted}


def as_circuit(values):
    return {metric: values[metric].double().numpy() for metric in METRICS}


def test_the_whole_model_is_1_and_the_corrupted_run_is_0():
    baselines = whole(torch.Generator().manual_seed(0))
    same = measures(as_circuit(baselines["clean"]), baselines)
    assert same["normalised"] == same["normalised_low"] == same["normalised_high"] == 1
    assert same["kl_percentage"] == pytest.approx(100)
    assert measures(as_circuit(baselines["corrupted"]), baselines)["normalised"] == 0


def test_measures_by_hand():
    baselines = {
        "clean": {name: torch.tensor([1.0, 3.0]) for name in METRICS},
        "corrupted": {name: torch.tensor([5.0, 7.0]) for name in METRICS},
    }
    circuit = {"nll": np.array([2.0, 4.0]), "kl": np.array([0.5, 0.7]), "kl_corrupted": np.array([1.0, 2.0])}
    found = measures(circuit, baselines)
    assert found["normalised"] == pytest.approx((3 - 6) / (2 - 6))
    assert np.isnan(found["normalised_low"]), "two examples give no interval"
    assert found["kl"] == pytest.approx(0.6)
    assert found["kl_percentage"] == pytest.approx((1 - abs(2 - 1.5) / 2) * 100)


def test_normalised_is_a_ratio_of_means_not_a_mean_of_ratios():
    clean, corrupted = np.array([1.0, 1.0]), np.array([2.0, 11.0])
    assert normalised(np.array([1.0, 11.0]), clean, corrupted) == pytest.approx((6 - 6.5) / (1 - 6.5))


def test_every_fraction_comes_with_its_random_circuits():
    graph = Graph(3, 2, 8)
    values = torch.randn(graph.mask.shape, generator=torch.Generator().manual_seed(0)) * graph.mask
    rows = sweep(Scores(values, graph, "EAP", "nll"), SETTINGS)
    assert len(rows) == 3 * 21
    for fraction in SETTINGS["fractions"]:
        same = [(kind, circuit) for kind, _, at, circuit in rows if at == fraction]
        assert [kind for kind, _ in same] == ["circuit"] + ["random"] * 20
        assert len({circuit.n_edges for _, circuit in same}) == 1
    masks = {tuple(c.mask.flatten().tolist()) for kind, _, at, c in rows if kind == "random" and at == 0.5}
    assert len(masks) == 20, "draws differ"
    again = sweep(Scores(values, graph, "EAP", "nll"), SETTINGS)
    assert all(torch.equal(a[3].mask, b[3].mask) for a, b in zip(rows, again, strict=True))
