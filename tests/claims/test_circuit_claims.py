"""kl_percentage of the held-out circuit, and its change between two models on the same examples."""

import numpy as np
import pytest

from rewire.claims.catalogue import MEASURES
from rewire.tables import schema, write_table

COLUMNS = schema(circuit="string", ranking="string", fraction="float64", kl_corrupted="list<double>")


def table(path, whole, circuit):
    rows = [
        {"circuit": "clean", "ranking": None, "fraction": None, "kl_corrupted": whole},
        {"circuit": "held-out", "ranking": "absolute", "fraction": 0.1, "kl_corrupted": circuit},
        {"circuit": "held-out", "ranking": "absolute", "fraction": 0.2, "kl_corrupted": whole},
    ]
    write_table(path, rows, COLUMNS)
    return path


@pytest.fixture
def paths(tmp_path):
    """B = 2 in the mean; C = 1.8 in the base, 2.4 in the checkpoint, whose examples rise and fall with the base's."""
    whole = [1.0, 2.0, 3.0, 1.5, 2.5, 2.0]
    base = table(tmp_path / "base.parquet", whole, [0.9 * x for x in whole])
    tuned = table(tmp_path / "tuned.parquet", whole, [1.2 * x for x in whole])
    return {"faithfulness_base": base, "faithfulness": tuned}


def test_percentage_by_hand(paths):
    assert MEASURES["kl_percentage_base"][0](paths).value == pytest.approx(90)
    found = MEASURES["kl_percentage"][0](paths)
    assert (found.value, found.n) == (
        pytest.approx(80),
        6,
    )  # farther from the corrupted run than the whole model


def test_the_change_is_paired(paths):
    """Every resample shrinks both models' numbers alike, so that nothing is left of the spread."""
    found = MEASURES["kl_percentage_change"][0](paths)
    assert (found.value, found.low, found.high) == tuple([pytest.approx(-10)] * 3)


def test_the_change_has_an_interval_where_examples_differ(paths, tmp_path):
    noise = np.random.default_rng(0)
    whole = noise.uniform(1, 3, 40)
    given = {
        name: table(
            tmp_path / f"{name}.parquet", whole.tolist(), (whole * noise.uniform(0.5, 1, 40)).tolist()
        )
        for name in paths
    }
    found = MEASURES["kl_percentage_change"][0](given)
    assert found.low < found.value < found.high


def test_without_a_held_out_circuit_it_is_not_run(paths):
    write_table(paths["faithfulness"], [{"circuit": "clean", "kl_corrupted": [1.0] * 6}], COLUMNS)
    assert MEASURES["kl_percentage"][0](paths) is None
    assert MEASURES["kl_percentage_change"][0](paths) is None
