"""The verdict's rules, the claims of the config, and how the table is written."""

import csv
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rewire.claims.catalogue import MEASURES, TESTS
from rewire.claims.table import SCHEMA, judge, verdict, write_claims
from rewire.errors import InputError
from rewire.statistics import Estimate
from rewire.tables import read_table, schema, write_table

CONFIG = Path(__file__).parent.parent.parent / "config" / "claims.yaml"
VERDICTS = {"supported", "not supported", "inconclusive"}
number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 5.0, -1.0, 1.0])
rules = st.one_of(
    st.builds(lambda x: {"above": x}, number),
    st.builds(lambda x: {"below": x}, number),
    st.builds(lambda x, y: {"between": sorted([x, y])}, number, number),
)


def satisfies(value: float, rule: dict) -> bool:
    if "above" in rule:
        return value > rule["above"]
    if "below" in rule:
        return value < rule["below"]
    return rule["between"][0] <= value <= rule["between"][1]


@given(rule=rules, ends=st.tuples(number, number))
def test_exactly_one_verdict_by_where_the_interval_lies(rule: dict, ends: tuple[float, float]) -> None:
    low, high = sorted(ends)
    found = verdict(Estimate((low + high) / 2, low, high, 20), rule)
    assert found in VERDICTS
    both = satisfies(low, rule) and satisfies(high, rule)
    assert (found == "supported") == both
    if low == high:
        assert found == ("supported" if satisfies(low, rule) else "not supported")
    if found == "not supported":
        assert not any(satisfies(x, rule) for x in np.linspace(low, high, 7))
    if found == "inconclusive" and "between" not in rule:
        assert satisfies(low, rule) != satisfies(high, rule)


@given(rule=rules, value=number)
def test_without_an_interval_it_is_inconclusive(rule: dict, value: float) -> None:
    for low, high in ((math.nan, math.nan), (value, math.nan), (math.nan, value)):
        assert verdict(Estimate(value, low, high, 3), rule) == "inconclusive"


@pytest.mark.parametrize(
    ("rule", "low", "high", "expected"),
    [
        ({"above": 0}, 0.1, 2, "supported"),
        ({"above": 0}, 0, 2, "inconclusive"),
        ({"above": 0}, -2, 0, "not supported"),
        ({"below": 0.5}, 0.1, 0.5, "inconclusive"),
        ({"below": 0.5}, 0.5, 0.6, "not supported"),
        ({"between": [-1, 1]}, -1, 1, "supported"),
        ({"between": [-1, 1]}, 1, 2, "inconclusive"),
        ({"between": [-1, 1]}, 1.1, 2, "not supported"),
        ({"between": [-1, 1]}, -3, 3, "inconclusive"),
        ({"between": [5, 5]}, 5, 5, "supported"),
    ],
)
def test_verdicts_by_hand(rule: dict, low: float, high: float, expected: str) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, 9), rule) == expected


def test_every_claim_of_the_config_can_be_judged() -> None:
    configured = yaml.safe_load(CONFIG.read_text())["claims"]
    assert configured
    for name, claim in configured.items():
        assert claim["measure"] in MEASURES, name
        assert len(claim["rule"]) == 1, name
        if "test" in claim["rule"]:
            assert claim["rule"]["test"] in TESTS, name
            continue
        assert set(claim["rule"]) <= {"above", "below", "between"}, name
        assert claim.get("published") is None or isinstance(claim["published"], str), name
        assert verdict(Estimate(0, 0, 0, 9), claim["rule"]) in VERDICTS


CLAIM = {
    "statement": "It hurts.",
    "source": "s",
    "published": None,
    "measure": "mask_effect",
    "rule": {"above": 0},
}


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """The table of the pairs' effect: +1 by mask, 0 by random; an earlier checkpoint says otherwise."""
    path = tmp_path / "effect.parquet"
    columns = schema(
        checkpoint="string", corruption="string", id="string", nll_clean="float64", nll_corrupted="float64"
    )
    rows = [
        {
            "checkpoint": checkpoint,
            "corruption": corruption,
            "id": f"r{i if corruption == 'mask' else 19 - i:02d}",
            "nll_clean": 2.0,
            "nll_corrupted": 2.0 + effect + (i if corruption == "mask" else 19 - i) / 100,
        }
        for checkpoint, sign in (("base", -1), ("final", 1))
        for corruption, effect in (("mask", sign), ("random", 0))
        for i in range(20)
    ]
    write_table(path, rows, columns)
    return {"effect": path}


def test_judge(tables: dict[str, Path]) -> None:
    row = judge("hurts", CLAIM, "small", "news", tables)
    assert row["value"] == pytest.approx(1.095)
    assert row["low"] < row["value"] < row["high"]
    assert (row["n"], row["unit"], row["verdict"]) == (20, "nats/token", "supported")
    paired = judge("more", CLAIM | {"measure": "mask_minus_random_effect"}, "small", "news", tables)
    assert paired["low"] == pytest.approx(1)  # by id: the examples' own spread cancels
    assert paired["high"] == pytest.approx(1)


def test_claims_about_other_models_are_not_run(tables: dict[str, Path]) -> None:
    row = judge("hurts", CLAIM | {"about": ["gpt2"]}, "small", "news", {})
    assert row["verdict"] == "not run"
    assert row["value"] is row["low"] is row["high"] is row["n"] is None
    assert (
        judge("hurts", CLAIM | {"about": ["gpt2"]}, "mine", "news", tables, "gpt2")["verdict"] == "supported"
    )
    assert judge("hurts", CLAIM | {"about": ["gpt2"]}, "gpt2", "news", tables)["verdict"] == "not run", (
        "a name is no id"
    )


def test_claims_about_other_datasets_are_not_run(tables: dict[str, Path], tmp_path: Path) -> None:
    claim = CLAIM | {"about": ["gpt2"], "datasets": ["a/news"]}
    for ids, expected in (
        (("gpt2", "a/news"), "supported"),
        (("gpt2", "a/xsum"), "not run"),
        (("gpt2", None), "not run"),
        (("gpt3", "a/news"), "not run"),
    ):
        assert judge("hurts", claim, "mine", "news", tables, *ids)["verdict"] == expected, ids
    runs = {("mine", dataset): tables for dataset in ("news", "xsum")}
    paths = tmp_path / "claims.parquet", tmp_path / "claims.tsv"
    write_claims(runs, {"hurts": claim}, *paths, {"mine": "gpt2"}, {"news": "a/news", "xsum": "a/xsum"})
    assert [row["verdict"] for row in read_table(paths[0]).to_pylist()] == ["supported", "not run"]


def test_published_figures_of_gpt2_are_compared_on_their_own_data_alone() -> None:
    claims = yaml.safe_load(CONFIG.read_text())["claims"]
    presets = {
        name: next(
            iter(yaml.safe_load((CONFIG.parent / f"gpt2-{name}.yaml").read_text())["datasets"].values())
        )
        for name in ("cnn_dailymail", "xsum", "multi_news")
    }
    about = {name: c for name, c in claims.items() if name.startswith("gpt2-") and "study" not in c}
    compared = {
        preset: {name for name, claim in about.items() if entry["id"] in claim["datasets"]}
        for preset, entry in presets.items()
    }
    assert compared["cnn_dailymail"] == about.keys() - {"gpt2-circuit-repeats"} and len(about) > 10
    assert not compared["xsum"] and not compared["multi_news"]


def test_a_corruption_that_was_not_run(tables: dict[str, Path]) -> None:
    kept = [row for row in read_table(tables["effect"]).to_pylist() if row["corruption"] == "mask"]
    write_table(tables["effect"], kept, read_table(tables["effect"]).schema)
    assert (
        judge("m", CLAIM | {"measure": "mask_minus_random_effect"}, "a", "b", tables)["verdict"] == "not run"
    )


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(InputError, match=r"claims\.odd\.measure: 'luck' is not one of mask_effect, "):
        judge("odd", CLAIM | {"measure": "luck"}, "a", "b", {})


def test_entropy_and_kl_peak_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "heads.parquet"
    columns = schema(
        id="string",
        layer="int32",
        head="int32",
        entropy="float64",
        entropy_base="float64",
        attention_kl="float64",
    )
    falls = {(0, 0): -1, (0, 1): 1, (1, 0): -2, (1, 1): -0.5}
    rows = [
        {
            "id": f"r{i}",
            "layer": layer,
            "head": head,
            "entropy": 3 + change,
            "entropy_base": 3,
            "attention_kl": 1.0 + 2 * (layer == 1),
        }
        for i in range(8)
        for (layer, head), change in falls.items()
    ]
    write_table(path, rows, columns)
    share = MEASURES["share_of_heads_with_falling_entropy"][0]({"heads": path})
    assert (share.value, share.low, share.high, share.n) == (0.75, 0.75, 0.75, 8)
    peak = MEASURES["attention_kl_peak"][0]({"heads": path})
    assert (peak.value, peak.low, peak.high) == (1, 1, 1)


def test_the_tables_hold_odd_text(tables: dict[str, Path], tmp_path: Path) -> None:
    odd = {
        "tab": "a\tb",
        "line": "a\nb",
        "return": "a\r\nb",
        "quote": 'a "b" c',
        "more": "é🎉 مرحبا",
        "none": None,
    }
    given_claims = {name: CLAIM | {"statement": text} for name, text in odd.items()}
    given_claims["elsewhere"] = CLAIM | {"about": ["gpt2"]}
    parquet, tsv = tmp_path / "claims.parquet", tmp_path / "claims.tsv"
    write_claims({("small", "news"): tables, ("big", "news"): tables}, given_claims, parquet, tsv)
    rows = read_table(parquet).to_pylist()
    assert [(row["model"], row["claim"]) for row in rows] == [
        (m, c) for m in ("small", "big") for c in given_claims
    ]
    with tsv.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, dialect="excel-tab"))
    assert list(read[0]) == SCHEMA.names
    assert [row["statement"] for row in read] == [
        "" if r["statement"] is None else r["statement"] for r in rows
    ]
    assert [row["verdict"] for row in read] == [r["verdict"] for r in rows]
    assert float(read[0]["value"]) == rows[0]["value"]
    assert read[-1]["value"] == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "claims.parquet",
        "claims.tsv",
        "effect.parquet",
    ]
    before = parquet.read_bytes(), tsv.read_bytes()
    write_claims({("small", "news"): tables, ("big", "news"): tables}, given_claims, parquet, tsv)
    assert (parquet.read_bytes(), tsv.read_bytes()) == before


def test_an_unreadable_table_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "effect.parquet").write_bytes(b"PAR1")
    run = {("a", "b"): {"effect": tmp_path / "effect.parquet"}}
    with pytest.raises(InputError, match=r"effect\.parquet"):
        write_claims(run, {"x": CLAIM}, tmp_path / "c.parquet", tmp_path / "c.tsv")
    assert [path.name for path in tmp_path.iterdir()] == ["effect.parquet"]


@pytest.fixture
def evolved(tmp_path: Path) -> dict[str, Path]:
    """Evolution tables of two checkpoints: the last one's Jaccard to the base is .4 [.3, .5], .3 beyond the floor."""
    keys = schema(checkpoint="string", step="int64", reference="string", examples="int32")
    numbers = ("value", "low", "high", "beyond", "beyond_low", "beyond_high")
    changes = [
        {
            "checkpoint": name,
            "step": step,
            "reference": reference,
            "examples": 30,
            "measure": measure,
            **dict(zip(numbers, (value, value - 0.1, value + 0.1, 0.3, -0.05, 0.45), strict=True)),
        }
        for name, step, value in (("step-000010", 10, 0.9), ("final", 20, 0.4))
        for reference in ("previous", "base")
        for measure in ("edge_jaccard", "node_jaccard")
    ]
    paths = {name: tmp_path / f"{name}.parquet" for name in ("evolution", "edge_centric")}
    extra = schema(measure="string", **dict.fromkeys(numbers, "float64"))
    write_table(paths["evolution"], changes, pa.schema([*keys, *extra]))
    tests = [
        {
            "checkpoint": "final",
            "step": 20,
            "reference": reference,
            "examples": 30,
            "statistic": 0.2,
            "low": 0.1,
            "high": 0.3,
            "verdict": verdict,
        }
        for reference, verdict in (("previous", "supported"), ("base", "not supported"))
    ]
    extra = schema(statistic="float64", low="float64", high="float64", verdict="string")
    write_table(paths["edge_centric"], tests, pa.schema([*keys, *extra]))
    return paths


def test_circuit_change_is_set_beside_the_noise_floor(evolved: dict[str, Path]) -> None:
    jaccard = MEASURES["edge_jaccard_to_base"][0](evolved)
    assert (jaccard.value, jaccard.low, jaccard.high, jaccard.n) == pytest.approx((0.4, 0.3, 0.5, 30))
    beyond = MEASURES["edge_change_beyond_floor"][0](evolved)
    assert (beyond.value, beyond.low, beyond.high, beyond.n) == pytest.approx((0.3, -0.05, 0.45, 30))
    claim = CLAIM | {"measure": "edge_change_beyond_floor"}
    assert judge("beyond", claim, "small", "news", evolved)["verdict"] == "inconclusive"


def test_a_test_gives_its_own_verdict(evolved: dict[str, Path]) -> None:
    claim = CLAIM | {"measure": "edges_beyond_nodes", "rule": {"test": "edge_centric"}}
    row = judge("edges", claim, "small", "news", evolved)
    assert (row["value"], row["low"], row["verdict"]) == (0.2, 0.1, "not supported")
    with pytest.raises(InputError, match="'guess' is not one of edge_centric"):
        judge("edges", claim | {"rule": {"test": "guess"}}, "small", "news", evolved)
    assert judge("edges", claim, "small", "news", {})["verdict"] == "not run", "without its table"
