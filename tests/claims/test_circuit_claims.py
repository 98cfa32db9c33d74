"""What the held-out circuit restores, beside random circuits, and between two models on the same examples."""

import numpy as np
import pytest

from rewire.claims.catalogue import MEASURES
from rewire.claims.table import verdict
from rewire.tables import schema, write_table

COLUMNS = schema(
    circuit="string", ranking="string", fraction="float64", nll="list<double>", kl_corrupted="list<double>"
)


def table(path, whole, circuit, effect=1.0, randoms=()):
    """KL(corrupted || whole) and of the circuit. NLL: clean 1 to 2, corrupted ``effect`` more, circuit a tenth of it.

    ``effect``: one number, or each example's; ``randoms``: f of each random circuit.
    """
    clean = np.linspace(1, 2, len(whole))
    nll = {"clean": clean, "corrupted": clean + effect, "held-out": clean + np.multiply(effect, 0.1)}
    at = {"ranking": "absolute", "fraction": 0.1}
    rows = [
        {"circuit": "clean", "nll": nll["clean"], "kl_corrupted": whole},
        {"circuit": "corrupted", "nll": nll["corrupted"], "kl_corrupted": [0.0] * len(whole)},
        {"circuit": "held-out", "nll": nll["held-out"], "kl_corrupted": circuit, **at},
        {"circuit": "held-out", "nll": nll["clean"], "kl_corrupted": whole, **at, "fraction": 0.2},
    ]
    rows += [{"circuit": "random", "nll": clean + np.multiply(effect, 1 - f), **at} for f in randoms]
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
    write_table(
        paths["faithfulness"], [{"circuit": "clean", "kl_corrupted": [1.0] * 6, "nll": [1.0] * 6}], COLUMNS
    )
    assert MEASURES["kl_percentage"][0](paths) is None
    assert MEASURES["kl_percentage_change"][0](paths) is None


def test_the_circuit_leads_the_best_random_one_by_hand(tmp_path):
    path = table(tmp_path / "f.parquet", [1.0] * 8, [1.0] * 8, randoms=(0.2, 0.5, -0.3))
    found = MEASURES["circuit_minus_best_random"][0]({"faithfulness": path})
    assert (found.value, found.low, found.high, found.n) == (*[pytest.approx(0.4)] * 3, 8)


MEASURED = ("circuit_minus_best_random", "kl_percentage", "kl_percentage_change")


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("unsettled", ["faithfulness", "faithfulness_base"])
def test_where_corruption_may_do_nothing_there_is_no_interval(name, unsettled, tmp_path):
    """b' - b of either sign between examples: a value, and nothing to judge it by."""
    noise = np.random.default_rng(0)
    kl = noise.uniform(1, 3, 20)
    paths = {
        table_name: table(
            tmp_path / f"{table_name}.parquet",
            kl,
            kl * noise.uniform(0.5, 1, 20),
            noise.normal(0.01, 1, 20) if table_name == unsettled else 1.0,
            randoms=(0.2, 0.5),
        )
        for table_name in ("faithfulness", "faithfulness_base")
    }
    found = MEASURES[name][0](paths)
    reads_it = unsettled == "faithfulness" or name == "kl_percentage_change"
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).tolist() == [reads_it] * 2
    assert verdict(found, {"above": -1000}) == ("inconclusive" if reads_it else "supported")


def agreement(path, pairs, low=0.6, high=0.9):
    """Agreement of the base (Jaccard .1) and the last checkpoint (.7 and .8 in turn) over ``pairs`` pairs of resamples."""
    columns = schema(
        **dict.fromkeys(("model", "study"), "string"),
        examples="int32",
        **dict.fromkeys(("edge_jaccard", "edge_mean_low", "edge_mean_high"), "float64"),
    )
    rows = [
        {"model": model, "study": "bootstrap", "edge_jaccard": value + 0.1 * (i % 2)}
        | {"edge_mean_low": low, "edge_mean_high": high}
        for model, value in (("base", 0.1), ("final", 0.7))
        for i in range(pairs)
    ]
    rows += [{"model": "final", "study": "corruption", "edge_jaccard": 1.0}]
    write_table(path, [row | {"examples": 12} for row in rows], columns)
    return {"agreement": path}


def test_more_resamples_are_no_more_examples(tmp_path):
    few, many = (
        MEASURES["bootstrap_jaccard"][0](agreement(tmp_path / f"{pairs}.parquet", pairs))
        for pairs in (10, 1000)
    )
    assert few == many and few.n == 12
    assert (few.value, few.low, few.high) == pytest.approx((0.75, 0.6, 0.9))


def test_without_a_bootstrap_there_is_nothing_to_claim(tmp_path):
    assert MEASURES["bootstrap_jaccard"][0](agreement(tmp_path / "few.parquet", 0)) is None
