"""Claims on sequential fine-tuning, from tables of one's own making."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from sequential.pair_rows import pair_rows

from rewire.claims.catalogue import MEASURES
from rewire.claims.frames import JUDGED, NotRun
from rewire.claims.table import judge, write_claims
from rewire.sequential import regression
from rewire.sequential.algebra import SCHEMA as ALGEBRA
from rewire.sequential.curves import SCHEMA as CURVE
from rewire.sequential.edge_centric import put_together
from rewire.sequential.tables import CHANGES, CHECKPOINTS, EDGE_CENTRIC, PAIRS
from rewire.tables import read_table, write_table

CLAIMS = yaml.safe_load((Path(__file__).parents[2] / "config/claims.yaml").read_text())["claims"]
SEQUENTIAL = {name: claim for name, claim in CLAIMS.items() if claim.get("stage") == "sequential"}
PYTHIA = "EleutherAI/pythia-1.4b-deduped"
TASKS = ("add", "sub", "max", "min", "add_sub")


def measured(tables, name):
    return MEASURES[name][0](tables)


@pytest.fixture
def tables(tmp_path):
    def write(name, rows, columns):
        write_table(tmp_path / f"{name}.parquet", rows, columns)
        return tmp_path / f"{name}.parquet"

    return write


def with_regression(tables, rows):
    pairs = tables("pairs", rows, PAIRS)
    regression.write_regression(pairs, pairs.with_name("regression.parquet"), {"seed": 0})
    return {"pairs": pairs, "regression": pairs.with_name("regression.parquet")}


def change_rows(edge, node, floor=0.1):
    """Every task alone: ``edge`` and ``node`` [checkpoints] changed, task i by i percent more, beside a floor."""
    rows = []
    for i, task in enumerate(TASKS):
        for measure, values in (("edge_turnover", edge), ("node_turnover", node)):
            for step, value in enumerate(values, start=1):
                row = {"run": task, "kind": "single", "first": task, "task": task, "step": 10 * step}
                row |= {"reference": "previous", "measure": measure, "value": value + i / 100}
                row |= {"floor": floor / 2, "reference_floor": floor}
                # against the base, or of another task: no part of it
                rows += [
                    row,
                    row | {"reference": "base", "value": 9.0},
                    row | {"kind": "multi", "value": 9.0},
                ]
    return rows


@pytest.fixture
def learned(tables):
    """The table of checkpoints in which every run but ``unlearned`` learns each of its tasks, at its end."""

    def write(*unlearned, runs=TASKS):
        rows = []
        for run in runs:
            for task in run.split("+"):
                for step in (0, 10, 20):
                    done = step == 20 and (run, task) not in unlearned and run not in unlearned
                    rows.append({"run": run, "task": task, "step": step, "learned": done})
        return {"checkpoints": tables("checkpoints", rows, CHECKPOINTS)}

    return write


def test_regressions_are_those_of_the_variant_with_most_pairs(tables):
    x = np.linspace(0.1, 0.8, 12)
    rows = [
        *pair_rows(x[:3], x[:3], variant="few"),
        *pair_rows(x, 0.9 - x + 0.05 * np.sin(40 * x), variant="kept"),
    ]
    given = with_regression(tables, rows)
    r, r2 = (measured(given, f"forgetting_overlap_{name}") for name in ("r", "r2"))
    assert r.n == 12 and r.value == pytest.approx(np.corrcoef(x, 0.9 - x + 0.05 * np.sin(40 * x))[0, 1])
    assert r.low < r.value < r.high < 0 and r2.value == pytest.approx(r.value**2)
    assert measured(given, "forgetting_overlap_rho").value < -0.8
    assert (
        judge("x", CLAIMS["forgetting-falls-with-overlap"], "calculator", "tasks", given)["verdict"]
        == "supported"
    )
    few = with_regression(tables, pair_rows(x[:3], x[:3]))
    assert judge("x", CLAIMS["forgetting-falls-with-overlap"], "m", "tasks", few)["verdict"] == "inconclusive"
    none = with_regression(tables, pair_rows(x, np.full(12, np.nan)))
    assert judge("x", CLAIMS["forgetting-falls-with-overlap"], "m", "tasks", none)["verdict"] == "not run"


def test_the_variant_that_the_config_names_is_judged_whatever_the_number_of_its_pairs(tables):
    x = np.linspace(0.1, 0.8, 12)
    y = 0.9 - x + 0.05 * np.sin(40 * x)
    rows = [*pair_rows(x, y, variant="kept"), *pair_rows(x[:8], 1 - y[:8], variant="tenth")]
    given = with_regression(tables, rows)
    verdicts = {}
    for variant, n in (("kept", 12), ("tenth", 8), ("not run", None)):
        row = judge("x", CLAIMS["forgetting-falls-with-overlap"], "m", "tasks", given | {JUDGED: variant})
        verdicts[variant] = row["verdict"]
        assert row["n"] == n
    assert verdicts == {"kept": "supported", "tenth": "not supported", "not run": "not run"}


def test_the_named_variant_goes_through_to_the_table(tables, tmp_path):
    x = np.linspace(0.1, 0.8, 12)
    given = with_regression(tables, [*pair_rows(x, 1 - x), *pair_rows(x[:8], 1 - x[:8], variant="tenth")])
    claims = {"c": CLAIMS["forgetting-falls-with-overlap"]}
    for judged, n in ((None, 12), ("tenth", 8)):
        write_claims({("m", "tasks"): given}, claims, tmp_path / "c", tmp_path / "t", judged=judged)
        assert read_table(tmp_path / "c")["n"].to_pylist() == [n]


def test_changes_are_means_over_tasks_learned_alone(tables, learned):
    given = learned() | {
        "changes": tables("changes", change_rows((0.5, 0.3, 0.2), (0.25, 0.15, 0.1)), CHANGES)
    }
    assert measured(given, "edge_change_1").value == pytest.approx(0.52)
    assert measured(given, "node_change_1").value == pytest.approx(0.27)
    assert measured(given, "edge_change_3").value == pytest.approx(0.22)
    assert measured(given, "node_change_2").value == pytest.approx(0.17)
    assert measured(given, "edge_change_4") is None  # there are three checkpoints
    falls = measured(given, "edge_change_falls")
    assert (falls.value, falls.n) == (pytest.approx(0.3), len(TASKS))
    some = given | learned("min", "add_sub")  # tasks 3 and 4, and there is less to know the interval by
    assert measured(some, "edge_change_1").value == pytest.approx(0.51)
    assert (measured(some, "edge_change_falls").n, measured(some, "node_change_1").n) == (3, 3)
    for name in ("edge_change_1", "edge_change_falls"):
        with pytest.raises(NotRun):
            measured(given | learned(*TASKS), name)
    single = learned() | {"changes": tables("changes", change_rows((0.5,), (0.25,)), CHANGES)}
    assert measured(single, "edge_change_falls") is None


def rows_tested(verdicts, false_positives=0.0):
    """The edge-centric test of every task alone: of its first checkpoint against the base that verdict, all else the opposite."""
    rows = []
    for task, verdict in zip(TASKS, verdicts, strict=True):
        other = "not supported" if verdict == "supported" else "supported"
        row = {"run": task, "kind": "single", "first": task, "task": task, "alpha": 0.05, "examples": 60}
        row |= {
            "false_positives": false_positives,
            "false_positives_pairs": 10,
            "power": 1.0,
            "power_pairs": 2,
        }
        for step, before, reference, found in (
            (10, 0, "base", verdict),
            (10, 0, "previous", other),
            (20, 0, "base", other),
            (20, 10, "previous", other),
        ):
            place = {"step": step, "checkpoint": f"step-{step:06d}", "reference": reference}
            place |= {"reference_checkpoint": f"step-{before:06d}", "p": 0.01, "verdict": found}
            value = 0.1 if found == "supported" else -0.2
            rows.append(row | place | {"statistic": value, "low": value - 0.05, "high": value + 0.05})
        second = {"run": f"{task}-x/kept", "kind": "sequential", "second": "x"}
        rows.append(rows[-4] | second | {"verdict": other, "statistic": 9.0})
    return put_together(rows)


@pytest.mark.parametrize(
    "verdicts, expected",
    [
        (["supported"] * 5, "supported"),
        (["not supported"] * 5, "not supported"),
        (["supported"] * 4 + ["not supported"], "inconclusive"),
        (["supported"] * 4 + ["inconclusive"], "inconclusive"),
    ],
)
def test_edges_change_more_if_the_test_says_so_of_every_task(tables, learned, verdicts, expected):
    given = learned() | {"edge_centric": tables("edge_centric", rows_tested(verdicts), EDGE_CENTRIC)}
    row = judge("x", CLAIMS["task-edges-change-more"], "calculator", "tasks", given)
    values = [0.1 if verdict == "supported" else -0.2 for verdict in verdicts]
    assert (row["verdict"], row["n"], row["value"]) == (expected, 5, pytest.approx(np.mean(values)))


def test_a_task_that_was_not_learned_has_no_say(tables, learned):
    rows = rows_tested(["supported"] * 4 + ["not supported"])
    given = learned("add_sub") | {"edge_centric": tables("edge_centric", rows, EDGE_CENTRIC)}
    row = judge("x", CLAIMS["task-edges-change-more"], "calculator", "tasks", given)
    assert (row["verdict"], row["n"]) == ("supported", 4)
    row = judge("x", CLAIMS["task-edges-change-more"], "calculator", "tasks", given | learned(*TASKS))
    assert row["verdict"] == "not run"


def test_a_test_that_rejects_one_model_and_itself_judges_no_task(tables, learned):
    rows = rows_tested(["supported"] * 5, false_positives=0.5)
    given = learned() | {"edge_centric": tables("edge_centric", rows, EDGE_CENTRIC)}
    row = judge("x", CLAIMS["task-edges-change-more"], "calculator", "tasks", given)
    assert (row["verdict"], row["n"]) == ("inconclusive", 5)
    for row in rows:  # too few examples for a test
        row |= {"statistic": float("nan"), "verdict": "inconclusive"}
    given["edge_centric"] = tables("edge_centric", rows, EDGE_CENTRIC)
    row = judge("x", CLAIMS["task-edges-change-more"], "calculator", "tasks", given)
    assert (row["verdict"], row["value"], row["n"]) == ("inconclusive", None, 5)


def test_a_run_without_single_runs_has_no_change(tables, learned):
    rows = [row for row in change_rows((0.5,), (0.2,)) if row["kind"] == "multi"]
    with pytest.raises(NotRun):
        measured(learned() | {"changes": tables("changes", rows, CHANGES)}, "edge_change_1")


@pytest.mark.parametrize("other", ["outside", "random"])
def test_training_inside_is_set_against_training_elsewhere_prompt_by_prompt(tables, other):
    """Inside, 6 of 8 prompts are lost; elsewhere, 2 of 8; before, all were right."""
    name = f"inside_minus_{other}"
    correct = {"inside": [0] * 6 + [1] * 2, other: [0, 0] + [1] * 6}
    pairs, checkpoints = [], []
    for variant, right in correct.items():
        row = pair_rows([0.5], [0.5], variant=variant)[0]
        pairs.append(row | {"first_accuracy_before": 1.0})
        place = {"run": row["run"], "task": row["first"]}
        checkpoints += [place | {"step": 0, "correct": [1] * 8}, place | {"step": 10, "correct": right}]
    given = {
        "pairs": tables("pairs", pairs, PAIRS),
        "checkpoints": tables("checkpoints", checkpoints, CHECKPOINTS),
    }
    found = measured(given, name)
    assert (found.value, found.n) == (pytest.approx(0.5), 8) and found.low > 0
    alone = given | {"pairs": tables("one", pairs[:1], PAIRS)}
    assert measured(alone, name) is None
    unlearned = given | {"pairs": tables("none", [row | {"learned": False} for row in pairs], PAIRS)}
    assert measured(unlearned, name) is None
    for side in range(2):  # a second task that one side did not learn is no comparison
        half = [row | {"second_learned": i != side} for i, row in enumerate(pairs)]
        assert measured(given | {"pairs": tables("half", half, PAIRS)}, name) is None


def test_both_comparisons_of_the_inside_are_claims_of_their_own(tables):
    """Forgets more than the outside, which has other parameters, and less than as many at random."""
    correct = {"inside": [0] * 6 + [1] * 6, "outside": [1] * 12, "random": [0] * 12}
    rows, checkpoints = [], []
    for variant, right in correct.items():
        rows += pair_rows([0.5], [0.5], variant=variant)
        checkpoints.append({"run": rows[-1]["run"], "task": rows[-1]["first"], "step": 10, "correct": right})
    rows = [row | {"first_accuracy_before": 1.0} for row in rows]
    given = {
        "pairs": tables("pairs", rows, PAIRS),
        "checkpoints": tables("checkpoints", checkpoints, CHECKPOINTS),
    }
    names = ("circuit-carries-forgetting", "circuit-carries-forgetting-at-equal-size")
    judged = [judge(name, CLAIMS[name], "calculator", "tasks", given) for name in names]
    assert [row["value"] for row in judged] == pytest.approx([0.5, -0.5])
    assert [row["verdict"] for row in judged] == ["supported", "not supported"]


def test_pairs_that_share_their_first_task_are_one_sample_of_its_prompts(tables):
    """The same answers after three second tasks are no more evidence than after one."""
    correct = {"inside": [0, 1, 1, 0] * 4, "outside": [1, 1, 0, 1] * 4}

    def found(seconds):
        pairs, checkpoints = [], []
        for variant, right in correct.items():
            for second in seconds:
                row = pair_rows([0.5], [0.5], variant=variant)[0] | {"second": second}
                pairs.append(row | {"run": f"task0-{second}/{variant}", "first_accuracy_before": 1.0})
                checkpoints.append({"run": pairs[-1]["run"], "task": "task0", "step": 10, "correct": right})
        name = f"pairs{len(seconds)}"
        given = {"pairs": tables(name, pairs, PAIRS)}
        given["checkpoints"] = tables(f"checkpoints{len(seconds)}", checkpoints, CHECKPOINTS)
        return measured(given, "inside_minus_outside")

    one, three = found(["a"]), found(["a", "b", "c"])
    assert (three.n, three.value) == (16, pytest.approx(one.value)) and one.value == pytest.approx(0.25)
    assert [three.low, three.high] == pytest.approx([one.low, one.high]) and one.low < one.high


def test_add_sub_and_unions_are_read_where_they_are(tables, learned):
    rows = [
        {"task": "add_sub", "fraction": fraction, "examples": 60, "kl_percentage": value}
        | {"kl_percentage_low": value - 1, "kl_percentage_high": value + 1}
        for fraction, value in ((0.001, 40.0), (0.05, 94.0))
    ]
    given = learned() | {"curve": tables("curve", rows, CURVE)}
    found = measured(given | learned("add_sub"), "add_sub_kl_percentage_at_5")
    assert found.value == 94 and np.isnan([found.low, found.high]).all()
    given |= learned()
    found = measured(given, "add_sub_kl_percentage_at_5")
    assert (found.value, found.low, found.high, found.n) == (94, 93, 95, 60)
    assert measured(given, "add_sub_kl_percentage_at_0.1").value == 40
    assert measured(given, "add_sub_kl_percentage_at_1") is None  # a size that was not run
    combined = [
        {
            "composite": composite,
            "first": "add",
            "second": "sub",
            "parts_found": where,
            "circuit": circuit,
            "examples": 60,
            "lead": value,
        }
        | {"lead_low": value - 0.05, "lead_high": value + 0.05, "kl_percentage": 80 + value}
        | {"kl_percentage_low": 79.0, "kl_percentage_high": 81.0}
        for composite, more in (("add+sub", 1.5), ("add_sub", 0), ("conditional_add_sub", 2.5))
        for where, shift in (("together", 0.5 + more), ("alone", more))
        for circuit, value in (("own", 0 + shift), ("union", 0.1 + shift), ("union-as-own", -0.2 + shift))
    ]
    there = learned(runs=(*TASKS, "add+sub"))
    given = there | {"algebra": tables("algebra", combined, ALGEBRA)}
    verdicts = {
        name: judge(name, CLAIMS[name], "calculator", "tasks", given)["verdict"]
        for name in ("union-as-faithful", "union-as-faithful-at-equal-edges")
    }
    assert verdicts == {"union-as-faithful": "supported", "union-as-faithful-at-equal-edges": "not supported"}
    assert measured(given, "union_kl_percentage").value == pytest.approx(80.1)
    unions = [row for row in combined if "+" in row["composite"]]  # where no task is made of two others
    given = there | {"algebra": tables("unions", unions, ALGEBRA)}
    assert measured(given, "union_kl_percentage").value == pytest.approx(81.6)


@pytest.mark.parametrize("unlearned", ["add", "sub", "add+sub", ("add+sub", "sub"), "max"])
def test_a_union_says_nothing_unless_its_parts_and_what_is_made_of_them_were_learned(
    tables, learned, unlearned
):
    row = {"composite": "add+sub", "first": "add", "second": "sub", "parts_found": "alone", "examples": 60}
    row |= {"circuit": "union", "lead": 0.1, "lead_low": 0.05, "lead_high": 0.15}
    given = learned(unlearned, runs=("add", "sub", "max", "add+sub"))
    given |= {"algebra": tables("algebra", [row], ALGEBRA)}
    judged = judge("x", CLAIMS["union-as-faithful"], "calculator", "tasks", given)
    assert judged["verdict"] == ("supported" if unlearned == "max" else "inconclusive")
    assert (judged["low"] is None) == (unlearned != "max") and judged["value"] == pytest.approx(0.1)


def test_every_published_size_of_add_sub_is_run_and_claimed_beside_even_steps():
    preset = yaml.safe_load((Path(__file__).parents[2] / "config/pythia-sequential.yaml").read_text())
    at = {
        float(claim["measure"].rpartition("_")[2]) / 100: claim
        for claim in SEQUENTIAL.values()
        if claim["measure"].startswith("add_sub_kl_percentage_at_")
    }
    assert sorted(at) == pytest.approx(preset["faithfulness"]["fractions"]) and len(at) == 10
    values = [float(at[fraction]["published"]) for fraction in sorted(at)]
    assert values == [45.65, 73.93, 84.12, 89.31, 91.70, 94.24, 97.33, 98.33, 99.19, 99.48]
    for value, fraction in zip(values, sorted(at), strict=True):
        low, high = at[fraction]["rule"]["between"]
        assert low < value < high and at[fraction]["measure"] in MEASURES
    steps = [0, *preset["sequential"]["steps"], preset["sequential"]["training"]["steps"]]
    assert set(np.diff(steps)) == {45} and len(steps) == 7  # six changes are published


def test_every_published_change_is_claimed():
    """From one checkpoint to the next, edges and nodes."""
    published = {
        "edge": [0.504, 0.278, 0.182, 0.125, 0.117, 0.073],
        "node": [0.222, 0.141, 0.077, 0.062, 0.052, 0.040],
    }
    for kind, values in published.items():
        for number, value in enumerate(values, start=1):
            claim = SEQUENTIAL[f"pythia-{kind}-change-{number}"]
            low, high = claim["rule"]["between"]
            assert float(claim["published"]) == value and low < value < high
            assert claim["measure"] == f"{kind}_change_{number}" and claim["measure"] in MEASURES


def test_claims_about_pythia_are_not_run_without_it_and_none_without_its_tables():
    assert len(SEQUENTIAL) > 10
    for name, claim in SEQUENTIAL.items():
        assert judge(name, claim, "calculator", "tasks", {})["verdict"] == "not run"
        assert ("about" in claim) == name.startswith("pythia-")
        assert claim.get("about", [PYTHIA]) == [PYTHIA]
