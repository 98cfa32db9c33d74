"""Claims about a study's probes, on made-up tables of a model as large as GPT-2 small."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.claims.frames import NotRun
from rewire.claims.probes import (
    NONE,
    leading_among,
    leading_layer,
    more_by,
    neurons_among,
    over_pairs,
    recovered,
)
from rewire.claims.table import judge
from rewire.probes.grid import PROMPTS
from rewire.probes.grid import SCHEMA as PATCHES
from rewire.probes.neuron_tables import SCHEMA as NEURONS
from rewire.tables import write_table

CLAIMS = {
    name: claim
    for name, claim in yaml.safe_load((Path(__file__).parents[2] / "config/claims.yaml").read_text())[
        "claims"
    ].items()
    if "study" in claim
}
LAYERS, HEADS, N = 12, 12, 40
PUBLISHED = {
    "attention_out": {(7, None): 0.5},
    "mlp_out": {(8, None): 0.4, (10, None): 0.3},
    "z": {(7, 11): 0.4, (10, 1): 0.3, (11, 8): 0.2},
    "v": {(7, 11): 0.3},
    "pattern": {(7, 11): 0.02},
}
STUDENT = ["Mic", "helle", "ĠJones", "Ġwas", "Ġa", "Ġtop", "-", "notch", "Ġstudent", ".", "ĠMic", "helle"]


def filled(rows, columns):
    """Rows with null for the columns of a schema that they lack."""
    return [dict.fromkeys(columns.names) | row for row in rows]


class Study:
    """Writes tables of a study in which the published places lead, at all positions together, with noise."""

    def __init__(
        self, folder: Path, shares=PUBLISHED, pairs: int = N, noise: float = 0.02, seed: int = 0
    ) -> None:
        self.noise = np.random.default_rng(seed)
        ids = [f"1-{i}" for i in range(pairs)]
        clean, corrupted = 3 + self.noise.normal(0, 0.3, pairs), -3 + self.noise.normal(0, 0.3, pairs)
        ends = zip(ids, clean, corrupted, strict=True)
        prompts = [
            {
                "id": name,
                "group": "g",
                "clean": ["We", "'re"],
                "logit_diff_clean": float(a),
                "logit_diff_corrupted": float(b),
            }
            for name, a, b in ends
        ]
        rows = []
        for site, own in shares.items():
            heads = range(HEADS) if site in ("z", "v", "pattern") else [None]
            for layer, head in product(range(LAYERS), heads):
                share = own.get((layer, head), 0.0) + self.noise.normal(0, noise, pairs)
                for name, a, b, one in zip(ids, clean, corrupted, share, strict=True):
                    place = {"id": name, "site": site, "layer": layer, "head": head}
                    rows.append(place | {"logit_diff": float(b + one * (a - b))})
                    rows.append(place | {"position": 1, "logit_diff": 99.0})
        self.paths = {name: folder / f"{name}.parquet" for name in ("prompts", "patches", "neurons")}
        write_table(self.paths["prompts"], filled(prompts, PROMPTS), PROMPTS)
        write_table(self.paths["patches"], filled(rows, PATCHES), PATCHES)
        write_table(self.paths["neurons"], filled(self.neurons(), NEURONS), NEURONS)

    def neurons(self):
        for group, layer, neuron in product(("all", "g"), (8, 10), range(3072)):
            share = self.noise.normal(0, 0.001)
            if (layer, neuron) in ((8, 2744), (10, 1063), (10, 2193)):
                share = -0.05 if group == "all" else 0.0
            place = {"group": group, "layer": layer, "neuron": neuron, "rank": 1, "n": N}
            yield place | {
                "recovered": share,
                "recovered_low": share - 0.002,
                "recovered_high": share + 0.002,
            }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("published")).paths


def judged(name, tables, identity="openai-community/gpt2"):
    return judge(name, CLAIMS[name], "gpt2", "newswire", tables, identity)


def of_contractions(paths):
    return {f"contractions/{name}": path for name, path in paths.items()}


def test_every_claim_about_probes_is_about_gpt2_and_has_a_published_value():
    assert len(CLAIMS) == 7 and {claim["study"] for claim in CLAIMS.values()} == {"contractions", "one-token"}
    assert all("openai-community/gpt2" in claim["about"] and claim["published"] for claim in CLAIMS.values())


@pytest.mark.parametrize("name", [name for name in CLAIMS if "contractions" in name])
def test_a_study_of_gpt2_that_finds_what_was_published_supports_it(name, study):
    row = judged(name, of_contractions(study))
    assert row["verdict"] == "supported" and row["n"] == N
    assert row["low"] <= row["value"] <= row["high"]


def test_a_study_of_gpt2_that_finds_other_places_does_not(tmp_path):
    other = {
        site: {(3, None if head is None else 3): 0.5 for _, head in own} for site, own in PUBLISHED.items()
    }
    other["pattern"] = {(7, 11): 0.6}
    tables = of_contractions(Study(tmp_path, other).paths)
    found = {name: judged(name, tables)["verdict"] for name in CLAIMS if "contractions" in name}
    assert found.pop("gpt2-contractions-neurons") == "supported"
    assert set(found.values()) == {"not supported"}


def test_what_resamples_do_not_agree_on_is_inconclusive(tmp_path):
    close = PUBLISHED | {"attention_out": {(7, None): 0.50, (9, None): 0.50}}
    row = judged("gpt2-contractions-attention", of_contractions(Study(tmp_path, close, noise=0.2).paths))
    assert row["verdict"] == "inconclusive" and row["low"] < row["high"]


@pytest.mark.parametrize("name", CLAIMS)
def test_not_run_without_gpt2_and_without_the_study(name, study):
    everything = of_contractions(study) | {f"one-token/{key}": path for key, path in study.items()}
    for tables, identity in ((everything, None), (everything, "some/model"), ({}, "gpt2"), (study, "gpt2")):
        row = judged(name, tables, identity)
        assert row["verdict"] == "not run" and row["value"] is None and row["unit"]


def test_the_published_probabilities_are_read_off_one_prompt(tmp_path):
    rows = [
        {"id": "1", "clean": STUDENT, "correct": "ĠJones", "incorrect": "ĠSmith", "p_correct_clean": 0.14, "p_incorrect_clean": 0.01},
        {"id": "2", "clean": STUDENT, "correct": "ĠJones", "incorrect": "Ġwas", "p_correct_clean": 0.14, "p_incorrect_clean": 0.2},
        {"id": "3", "clean": ["Another"], "correct": "Ġwas", "incorrect": "Ġis", "p_correct_clean": 0.5, "p_incorrect_clean": 0.3},
    ]  # fmt: skip
    write_table(tmp_path / "prompts.parquet", filled(rows, PROMPTS), PROMPTS)
    tables = {"one-token/prompts": tmp_path / "prompts.parquet"}
    jones, was = (judged(f"gpt2-one-token-{name}", tables) for name in ("jones", "was"))
    assert (jones["value"], jones["low"], jones["n"], jones["verdict"]) == (0.14, 0.14, 1, "supported")
    assert (was["value"], was["verdict"]) == (0.2, "not supported")
    write_table(tmp_path / "prompts.parquet", filled(rows[:1], PROMPTS), PROMPTS)
    assert judged("gpt2-one-token-was", tables)["verdict"] == "not run"


def test_a_model_without_the_layer_head_neuron_or_site_is_not_run(study):
    for measure in (
        leading_among("z", (12, 0)),
        leading_among("q", (7, 11)),
        leading_layer("residual_pre"),
        more_by("v", "pattern", (7, 12)),
        neurons_among(10, (9, 5)),
    ):
        with pytest.raises(NotRun):
            measure(study)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_shares_of_a_resample_are_those_of_its_rows(study, seed):
    """By counting how often a pair is drawn, against the ratio of means over the drawn rows themselves."""
    places, shares, n = recovered(study, "mlp_out")
    assert places == [(layer, NONE) for layer in range(LAYERS)]
    drawn = np.random.default_rng(seed).integers(n, size=(3, n))
    prompts, patches = pd.read_parquet(study["prompts"]), pd.read_parquet(study["patches"])
    own = patches[(patches["site"] == "mlp_out") & patches["position"].isna() & (patches["layer"] == 8)]
    own = own.set_index("id").loc[sorted(prompts["id"])]["logit_diff"].to_numpy()
    ends = prompts.set_index("id").loc[sorted(prompts["id"])]
    low, high = ends["logit_diff_corrupted"].to_numpy(), ends["logit_diff_clean"].to_numpy()
    expected = [(own[d] - low[d]).mean() / (high[d] - low[d]).mean() for d in drawn]
    np.testing.assert_allclose(shares(drawn)[:, 8], expected)


def test_below_five_pairs_there_is_no_interval(tmp_path):
    row = judged("gpt2-contractions-attention", of_contractions(Study(tmp_path, pairs=4).paths))
    assert row["value"] == 7 and row["low"] is None and row["verdict"] == "inconclusive"
    assert over_pairs(9, lambda index: index.mean(axis=-1)).value == 4
