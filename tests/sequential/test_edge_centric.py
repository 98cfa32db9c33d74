"""The edge-centric test over all runs: which comparisons it corrects for, and whose known cases it counts."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from rewire.sequential.edge_centric import put_together


def row(run: str, task: str, step: int, reference: int, p: float, **changes: Any) -> dict[str, Any]:
    names = {"checkpoint": f"step-{step:06d}", "reference_checkpoint": f"step-{reference:06d}"}
    known = {"false_positives": 0.1, "false_positives_pairs": 10, "power": 0.5, "power_pairs": 2}
    verdict = "supported" if p <= 0.05 else "inconclusive"
    return {"run": run, "task": task, **names, "p": p, "alpha": 0.05, "verdict": verdict, **known, **changes}


def test_q_is_over_the_comparisons_of_all_runs_each_counted_once():
    first = row("add", "add", 2, 0, 0.01)
    rows = [
        first | {"reference": "previous"},
        first | {"reference": "base"},
        row("add", "add", 4, 2, 0.04),
        row("max", "max", 2, 0, 0.9),
    ]
    found = put_together(rows)
    expected = stats.false_discovery_control([0.01, 0.04, 0.9])
    assert [one["q"] for one in found] == pytest.approx([expected[0], *expected])
    assert [one["reference"] for one in found[:2]] == ["previous", "base"]


def test_known_cases_are_counted_once_a_run_and_task():
    rows = [
        row("add", "add", 2, 0, 0.5),
        row("add", "add", 4, 0, 0.5),
        row("add-max/kept", "add", 4, 0, 0.5, false_positives=0.2),
        row("add-max/kept", "max", 4, 0, 0.5, power=1.0),
    ]
    for one in put_together(rows):
        assert (one["false_positives_pairs"], one["power_pairs"]) == (30, 6)
        assert one["false_positives"] == pytest.approx(4 / 30) and one["power"] == pytest.approx(4 / 6)
        interval = stats.binomtest(4, 30).proportion_ci()
        assert (one["false_positives_low"], one["false_positives_high"]) == pytest.approx(tuple(interval))


@pytest.mark.parametrize("share, verdict", [(0.1, "supported"), (0.9, "inconclusive")])
def test_a_test_that_rejects_one_model_and_itself_gives_no_verdict(share, verdict):
    assert put_together([row("add", "add", 2, 0, 0.01, false_positives=share)])[0]["verdict"] == verdict


def test_too_few_examples_for_known_cases_leave_no_share():
    none = {
        "false_positives": float("nan"),
        "false_positives_pairs": 0,
        "power": float("nan"),
        "power_pairs": 0,
    }
    found = put_together([row("add", "add", 2, 0, float("nan"), **none)])[0]
    assert found["false_positives_pairs"] == 0 and found["false_positives"] != found["false_positives"]
    assert found["verdict"] == "inconclusive"
