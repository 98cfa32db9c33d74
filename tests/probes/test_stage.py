"""The stage from folders to tables."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from probes.conftest import SETTINGS, STUDY, save_study

from rewire.errors import InputError
from rewire.pair_schema import SCHEMA as PAIRS
from rewire.probes import cross_model, grid, neuron_tables, stage, summary
from rewire.tables import write_table

PATCHES = {
    "prompts": grid.PROMPTS,
    "patches": grid.SCHEMA,
    "summary": summary.SCHEMA,
}
NEURONS = {"neurons": neuron_tables.SCHEMA, "examples": neuron_tables.EXAMPLES}
READINGS = stage.READINGS | {"summary": summary.SCHEMA}
CROSS = {"examples": cross_model.SCHEMA, "summary": cross_model.SUMMARY}
NEURON_SETTINGS = {"layers": [1], "position": "last", "top": 2, "tokens": 3, "batch_tokens": 256}
READING_SETTINGS = {"top_heads": 2, "labels": [], "keys": 3, "batch_tokens": 256}
CROSS_SETTINGS = {"components": ["residual_post"], "heads": ["z"], "batch_tokens": 256}


def written(folder, schemas, write):
    """Write twice: the schemas are as said and the bytes the same."""
    paths = {name: folder / f"{name}.parquet" for name in schemas}
    write(paths)
    before = {name: path.read_bytes() for name, path in paths.items()}
    for name, path in paths.items():
        assert pq.read_schema(path) == schemas[name], name
    write(paths)
    assert {name: path.read_bytes() for name, path in paths.items()} == before
    return {name: pd.read_parquet(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def patches(two_folders, study_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    found = written(
        folder, PATCHES, lambda paths: stage.write_patches(two_folders[0], study_file, SETTINGS, paths)
    )
    return folder, found


def test_patches(patches):
    _, found = patches
    assert set(found["prompts"]["id"]) == set(found["patches"]["id"]) and len(found["prompts"]) == 8
    assert set(found["summary"]["group"]) == {"all", "Ashford", "Kendal"}


def test_neurons(two_folders, study_file, tmp_path):
    found = written(
        tmp_path,
        NEURONS,
        lambda paths: stage.write_neurons(two_folders[0], study_file, NEURON_SETTINGS, paths),
    )
    assert set(found["neurons"]["layer"]) == {1} and len(found["examples"]) == 8 * 2


def test_readings_of_the_leading_heads(two_folders, study_file, patches, tmp_path):
    folder, before = patches
    found = written(
        tmp_path,
        READINGS,
        lambda paths: stage.write_readings(
            two_folders[0], study_file, folder / "summary.parquet", READING_SETTINGS, paths
        ),
    )
    table = before["summary"]
    shares = table[
        (table["group"] == "all")
        & (table["site"] == "z")
        & (table["measure"] == "recovered")
        & table["place"].isna()
    ]
    order = shares.reindex(shares["value"].abs().sort_values(ascending=False).index)[["layer", "head"]]
    leading = {tuple(row) for row in order.head(2).astype(int).to_numpy().tolist()}
    assert {tuple(row) for row in found["outputs"][["layer", "head"]].to_numpy().tolist()} == leading
    assert {tuple(row) for row in found["key_tokens"][["layer", "head"]].to_numpy().tolist()} == leading
    assert set(found["attention"]["place"]) == {"name", "town", "difference", "last"}
    direct = found["direct"].groupby(["id", "run"])["logit_diff"].sum()
    ends = before["prompts"].set_index("id")
    for side in ("clean", "corrupted"):
        own = direct.xs(side, level="run")
        pd.testing.assert_series_equal(
            own, ends[f"logit_diff_{side}"].loc[own.index], check_names=False, rtol=1e-4, atol=1e-4
        )
    means = found["summary"]
    block = means[
        (means["site"] == "direct:block") & (means["group"] == "all") & (means["measure"] == "logit_diff")
    ]
    own = found["direct"][found["direct"]["component"].isin(["head", "attention_bias", "mlp"])]
    for row in block.itertuples():
        chosen = own[(own["run"] == row.run) & (own["layer"] == row.layer)]
        assert row.value == pytest.approx(chosen.groupby("id")["logit_diff"].sum().mean(), abs=1e-9)
    assert len(block) == 2 * 2
    assert {"direct:head", "direct:mlp", "lens", "attention", "outputs", "baselines:bigram"} <= set(
        found["summary"]["site"]
    )
    last = found["key_tokens"].groupby(["id", "layer", "head"])
    assert last.size().eq(3).all() and last["score"].apply(lambda s: s.is_monotonic_decreasing).all()


def test_readings_need_heads_outputs(two_folders, study_file, tmp_path):
    write_table(tmp_path / "none.parquet", [], summary.SCHEMA)
    with pytest.raises(InputError, match="none.parquet: no head's output"):
        stage.write_readings(two_folders[0], study_file, tmp_path / "none.parquet", READING_SETTINGS, {})


def test_cross_model_patches_of_a_study_and_of_articles(two_folders, study_file, tmp_path):
    found = written(
        tmp_path / "study",
        CROSS,
        lambda paths: stage.write_cross_study(*two_folders, study_file, CROSS_SETTINGS, paths),
    )
    assert set(found["summary"]["group"]) == {"all", "Ashford", "Kendal"}
    pairs = tmp_path / "pairs.parquet"
    tokens = torch.randint(0, 200, (5, 12), generator=torch.Generator().manual_seed(1)).tolist()
    rows = [
        {
            "id": f"a{i}",
            "clean": row,
            "corrupted": row,
            "target_start": 9,
            "masked_spans": [],
            "sentence_spans": [],
        }
        | {"sentence_scores": []}
        for i, row in enumerate(tokens)
    ]
    write_table(pairs, rows, PAIRS)
    found = written(
        tmp_path / "articles",
        CROSS,
        lambda paths: stage.write_cross_pairs(*two_folders, pairs, CROSS_SETTINGS, paths),
    )
    assert set(found["examples"]["measure"]) == {"nll"} and found["summary"]["n"].eq(5).all()


def test_a_study_that_cannot_be_read_leaves_nothing(two_folders, tmp_path):
    bad = save_study(tmp_path / "bad.yaml", STUDY | {"incorrect": " the town"})
    paths = {name: tmp_path / "out" / f"{name}.parquet" for name in PATCHES}
    with pytest.raises(InputError, match=r"bad.yaml: pair 1-001: incorrect answer ' the town' is \d tokens"):
        stage.write_patches(two_folders[0], bad, SETTINGS, paths)
    assert not (tmp_path / "out").exists()
