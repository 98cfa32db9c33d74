import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

from rewire import robustness
from rewire.errors import InputError
from rewire.pair_table import SCHEMA
from rewire.pairs import read_pairs
from rewire.tables import read_table, write_table

CIRCUITS = {
    "method": "EAP-IG-inputs",
    "steps": 3,
    "grid": "midpoint",
    "metric": "nll",
    "fraction": 0.3,
    "batch_tokens": 1000,
}
SETTINGS = {"splits": 3, "resamples": 10, "noise_shares": [0.2, 0.8], "seed": 0}


def pair_rows(corruption: int, n: int = 7) -> list[dict]:
    """Articles of two sentences of 8 tokens, then 3 target tokens; ``corruption`` fills the first sentence."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for i in range(n):
        clean = torch.randint(5, 300, (19,), generator=generator).tolist()
        row = {"id": f"article-{i}", "clean": clean, "corrupted": [corruption] * 8 + clean[8:]}
        spans = {"masked_spans": [[0, 8]], "sentence_spans": [[0, 8], [8, 16]]}
        rows.append({**row, **spans, "target_start": 16, "sentence_scores": [0.5, 0.1]})
    return rows


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Checkpoints base and final (other random weights), two corruptions, the two tables."""
    folder = tmp_path_factory.mktemp("robustness")
    tokenizer = tiny_tokenizer()
    for seed, name in enumerate(("base", "final")):
        tiny_model(tokenizer, seed).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    for name, token in (("mask", 0), ("resample", 7)):
        write_table(folder / f"{name}.parquet", pair_rows(token), SCHEMA)

    def run(name: str):
        robustness.write_robustness(
            {"base": folder / "base", "final": folder / "final"},
            {"mask": folder / "mask.parquet", "resample": folder / "resample.parquet"},
            "mask",
            CIRCUITS,
            SETTINGS,
            folder / f"{name}-agreement.parquet",
            folder / f"{name}-edges.parquet",
        )
        return folder

    return run("first"), run


def test_every_study_has_its_rows(study):
    folder, _ = study
    rows = read_table(folder / "first-agreement.parquet").to_pandas()
    counts = rows.groupby(["model", "study"]).size().to_dict()
    expected = {(m, "split"): 3 for m in ("base", "final", "random weights")}
    expected |= {(m, "bootstrap"): 5 for m in ("base", "final", "random weights")}
    assert counts == expected | {("final", "noise"): 2, ("final", "corruption"): 4}
    assert rows[["edge_jaccard", "node_jaccard"]].stack().between(0, 1).all()
    own = rows[(rows["study"] == "corruption") & (rows["first"] == rows["second"])]
    assert (own["edge_jaccard"] == 1).all() and own["effect"].notna().all()
    two = rows[(rows["study"] == "corruption") & (rows["first"] != rows["second"])]
    assert two["edge_jaccard"].nunique() == 1, "agreement is symmetric"


def test_edges_have_scores_intervals_and_inclusion(study):
    folder, _ = study
    rows = read_table(folder / "first-edges.parquet").to_pandas()
    assert set(rows["model"]) == {"base", "final", "random weights"}
    assert (rows["score_low"] <= rows["score"] + 1e-9).all() and (
        rows["score"] <= rows["score_high"] + 1e-9
    ).all()
    assert rows["inclusion"].between(0, 1).all()
    kept = rows[rows["in_circuit"]]
    assert kept["inclusion"].mean() > rows[~rows["in_circuit"]]["inclusion"].mean()
    assert not rows[["model", "edge"]].duplicated().any()


def test_the_same_input_gives_the_same_bytes(study):
    folder, run = study
    run("again")
    for table in ("agreement", "edges"):
        paths = [folder / f"{name}-{table}.parquet" for name in ("first", "again")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_noise_replaces_that_share_of_the_article_and_nothing_else(study):
    folder, _ = study
    _, pairs = read_pairs(folder / "mask.parquet")
    for share, count in ((0.2, 3), (1.0, 16)):
        noisy = robustness.noisy_pairs(folder / "mask.parquet", share, 0)
        assert torch.equal(noisy.clean, pairs.clean)
        assert torch.equal(noisy.corrupted[:, 16:], pairs.clean[:, 16:])
        changed = (noisy.corrupted != noisy.clean).sum(dim=1)
        assert (changed <= count).all() and (changed >= count - 2).all()  # a draw may hit its own token
    for share in (0.0, 1.5, -0.1):
        with pytest.raises(InputError, match="noise share"):
            robustness.noisy_pairs(folder / "mask.parquet", share, 0)


def test_too_few_examples_give_no_splits(study, tmp_path):
    folder, _ = study
    write_table(tmp_path / "few.parquet", pair_rows(0, 2), SCHEMA)
    robustness.write_robustness(
        {"base": folder / "base", "final": folder / "final"},
        {"mask": tmp_path / "few.parquet"},
        "mask",
        CIRCUITS,
        SETTINGS,
        tmp_path / "a.parquet",
        tmp_path / "e.parquet",
    )
    assert "split" not in set(read_table(tmp_path / "a.parquet")["study"].to_pylist())
    rows = read_table(tmp_path / "e.parquet").to_pandas()
    assert rows["score_low"].isna().all(), "two examples give no interval"
