"""Claims on the bake-off never say more than its own tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rewire.claims.catalogue import MEASURES
from rewire.claims.table import judge
from rewire.lora.bakeoff import SCHEMA
from rewire.tables import write_table

CLAIMS = yaml.safe_load((Path(__file__).parents[2] / "config" / "claims.yaml").read_text())["claims"]


def claimed(
    folder: Path,
    interval: tuple[float, float],
    verdict: str | None,
    rule: dict[str, Any],
    seeds: tuple[int, int] = (5, 3),
    parameters: tuple[int, int] = (1000, 1000),
    measure: str = "lora_circuit_minus_standard",
) -> dict[str, Any]:
    """The row of a claim on ``circuit``, whose difference from ``standard`` has this interval and verdict."""
    ends = zip(("", "_low", "_high"), (sum(interval) / 2, *interval), strict=True)
    rows = [
        {"strategy": name, "measure": "rouge1", "mean": 1.0, "articles": 100, "seeds": n, "parameters": size}
        for name, n, size in zip(("circuit", "standard"), seeds, parameters, strict=True)
    ]
    rows[0] |= {f"against_standard{part}": value for part, value in ends}
    rows[0]["against_standard_verdict"] = verdict
    write_table(folder / "bakeoff.parquet", rows, SCHEMA)
    claim = {"statement": "s", "source": "s", "measure": measure, "rule": rule}
    return judge("mine", claim, "small", "news", {"bakeoff": folder / "bakeoff.parquet"})


ABOVE, BELOW, ALIKE = {"above": 0}, {"below": 0}, {"between": [-1, 1]}
NONE = "no difference found"


@pytest.mark.parametrize(
    ("interval", "verdict", "rule", "expected"),
    [
        ((1, 3), "better", ABOVE, "supported"),
        ((1, 3), "better", BELOW, "not supported"),
        ((-3, -1), "worse", ABOVE, "not supported"),
        ((-3, -1), "worse", BELOW, "supported"),
        ((1, 3), NONE, ABOVE, "inconclusive"),  # the interval is of one comparison, q of them all
        ((-3, -1), NONE, ABOVE, "inconclusive"),
        ((-3, -1), None, BELOW, "inconclusive"),
        ((-1, 3), NONE, ABOVE, "inconclusive"),
        ((-0.5, 0.5), NONE, ALIKE, "supported"),
        ((0.1, 0.5), "better", ALIKE, "supported"),
        ((2, 3), "better", ALIKE, "not supported"),
        ((2, 3), NONE, ALIKE, "inconclusive"),
    ],
)
def test_it_needs_the_bakeoff_s_own_verdict(
    tmp_path: Path, interval: tuple[float, float], verdict: str | None, rule: dict, expected: str
) -> None:
    row = claimed(tmp_path, interval, verdict, rule)
    assert (row["verdict"], row["n"], row["low"]) == (expected, 500, interval[0])


@pytest.mark.parametrize("seeds", [(2, 2), (5, 2), (1, 1)])
@pytest.mark.parametrize("rule", [ABOVE, ALIKE])
def test_fewer_than_three_seeds_are_inconclusive(tmp_path: Path, seeds: tuple[int, int], rule: dict) -> None:
    row = claimed(tmp_path, (0.1, 0.3), "better", rule, seeds)
    assert (row["verdict"], row["value"]) == ("inconclusive", pytest.approx(0.2))


def test_unequal_budgets_are_not_the_claim_s(tmp_path: Path) -> None:
    for size, expected in ((1010, "supported"), (990, "supported"), (1011, "not run"), (400, "not run")):
        assert claimed(tmp_path, (1, 3), "better", ABOVE, parameters=(size, 1000))["verdict"] == expected
    name = "lora_circuit_minus_standard_unmatched"
    row = claimed(tmp_path, (1, 3), "better", ABOVE, parameters=(400, 1000), measure=name)
    assert row["verdict"] == "supported"


def test_a_strategy_that_was_not_run(tmp_path: Path) -> None:
    claimed(tmp_path, (1, 3), "better", ABOVE)
    for name in ("lora_targeted_minus_standard", "lora_circuit_minus_random"):
        assert MEASURES[name][0]({"bakeoff": tmp_path / "bakeoff.parquet"}) is None


def test_claims_of_equal_budgets_measure_them() -> None:
    on_lora = {name: claim for name, claim in CLAIMS.items() if claim["measure"].startswith("lora_")}
    assert len(on_lora) == 7
    for name, claim in on_lora.items():
        said = "equal budgets" in claim["statement"]
        assert said != ("budgets unmatched" in claim["source"]), name
        assert said != claim["measure"].endswith("_unmatched"), name
