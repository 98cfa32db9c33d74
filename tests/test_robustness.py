import numpy as np
import pytest
import torch
from circuits.score_worlds import GRAPH, SIZE, effects, examples
from scipy import stats
from tiny_models import tiny_model, tiny_tokenizer

from rewire import robustness
from rewire.circuits.ensembles import unpacked
from rewire.circuits.noise_floor import same_model
from rewire.circuits.selection import Scores
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
    assert (rows["examples"] == 7).all()
    means = rows.groupby(["model", "study"])["edge_jaccard"].mean()
    for (model, name), own in rows.groupby(["model", "study"]):
        ends = own[["edge_mean_low", "edge_mean_high", "node_mean_low", "node_mean_high"]]
        assert ends.notna().all(axis=None) == (name == "bootstrap") and len(ends.drop_duplicates()) == 1
        if name == "bootstrap":
            assert (
                0
                <= ends["edge_mean_low"].iloc[0]
                <= means[model, name]
                <= ends["edge_mean_high"].iloc[0]
                <= 1
            )
    own = rows[(rows["study"] == "corruption") & (rows["first"] == rows["second"])]
    assert (own[["edge_jaccard", "edge_low", "edge_high", "node_low"]] == 1).all(axis=None)
    assert own["effect"].notna().all()
    of_examples = rows["study"].isin(["noise", "corruption"])
    for name, low, high in (
        ("edge_jaccard", "edge_low", "edge_high"),
        ("node_jaccard", "node_low", "node_high"),
        ("effect", "effect_low", "effect_high"),
    ):
        assert (rows[of_examples][low] <= rows[of_examples][name]).all()
        assert (rows[of_examples][name] <= rows[of_examples][high]).all()
        assert rows[~of_examples][[low, high]].isna().all(axis=None)
    noise = rows[rows["study"] == "noise"]
    assert (noise["edge_low"] < noise["edge_high"]).all() and (
        noise["effect_low"] < noise["effect_high"]
    ).all()
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


@pytest.mark.parametrize("n", [2, 4])
def test_what_too_few_examples_cannot_say_is_flagged(study, tmp_path, caplog, n):
    """Resamples of one or few examples are nearly the same: their Jaccard of 1 would be no agreement."""
    folder, _ = study
    write_table(tmp_path / "few.parquet", pair_rows(0, n), SCHEMA)
    robustness.write_robustness(
        {"base": folder / "base", "final": folder / "final"},
        {"mask": tmp_path / "few.parquet"},
        "mask",
        CIRCUITS,
        SETTINGS,
        tmp_path / "a.parquet",
        tmp_path / "e.parquet",
    )
    rows = read_table(tmp_path / "a.parquet").to_pandas()
    assert "bootstrap" not in set(rows["study"]) and f"{n} examples: no bootstrap circuits" in caplog.text
    assert rows[["edge_low", "node_high", "effect_low"]].isna().all(axis=None)
    splits = rows[rows["study"] == "split"]
    assert splits["edge_jaccard"].isna().all() == (n == 2) and len(splits) == (3 if n == 2 else 9)
    assert (f"{n} examples cannot be split into 3 parts" in caplog.text) == (n == 2)
    edges = read_table(tmp_path / "e.parquet").to_pandas()
    assert edges[["score_low", "inclusion"]].isna().all(axis=None) and edges["in_circuit"].all()
    assert set(rows["examples"]) == set(edges["examples"]) == {n}


def world(n: int, seed: int) -> Scores:
    """Made-up scores of ``n`` examples of one model."""
    own = examples(effects(1), n, seed)
    return Scores(unpacked(own.mean(dim=0)[None], GRAPH)[0], GRAPH, "EAP", "nll", examples=own)


def bootstrap(n: int, seed: int, resamples: int) -> list[dict]:
    scores = world(n, seed)
    resampled = robustness.bootstrap_circuits(scores, SIZE, {"resamples": resamples, "seed": 0})
    return list(robustness.bootstrap_rows(scores, SIZE, resampled, 0))


def test_more_resamples_do_not_shrink_the_interval_and_more_examples_do():
    widths = {}
    for n, resamples in ((16, 100), (16, 1600), (200, 100)):
        found = [bootstrap(n, seed, resamples)[0] for seed in range(4)]
        widths[n, resamples] = np.mean([row["edge_mean_high"] - row["edge_mean_low"] for row in found])
    assert (
        0.7 * widths[16, 100] < widths[16, 1600] < 1.2 * widths[16, 100]
    )  # four times narrower if it were theirs
    assert widths[200, 100] < 0.8 * widths[16, 100]


def test_the_interval_holds_what_other_examples_give_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(robustness, "NESTED", (50, 5))
    means, rows = [], []
    for seed in range(40):
        found = bootstrap(20, seed, 60)
        means.append(np.mean([row["edge_jaccard"] for row in found]))
        rows.append(found[0])
    expected = np.mean(means)  # over data sets of 20 examples
    covered = sum(row["edge_mean_low"] <= expected <= row["edge_mean_high"] for row in rows)
    assert covered >= stats.binom.ppf(0.001, 40, 0.92)
    width = np.mean([row["edge_mean_high"] - row["edge_mean_low"] for row in rows])
    assert width < 6 * np.std(means), "no wider than it has to be"


def test_the_noise_floor_is_that_of_evolution():
    """Circuits of equal size, as ``noise_floor.same_model`` compares them: pruning leaves none of them smaller."""
    scores = world(12, 0)
    rows = bootstrap(12, 0, 400)
    floor = same_model(scores.examples, GRAPH, SIZE, 1000, 5)
    for kind in ("edge_jaccard", "node_jaccard"):
        found = np.array([row[kind] for row in rows])
        assert abs(found.mean() - floor[kind].mean()) < 4 * found.std() / np.sqrt(len(found))
    sizes = [row["edges"] for row in rows]
    assert min(sizes) >= SIZE and np.median(sizes) <= 1.05 * SIZE
