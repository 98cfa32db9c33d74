"""What the smoke run's sequential fine-tuning is made into: regressions, combined circuits, figures, claims."""

import numpy as np
import pyarrow.parquet as pq
import pytest

MODEL = "results/sequential/calculator"
FIGURES = [
    f"results/figures/calculator/sequential/{n}"
    for n in ("accuracy", "changes", "heatmaps", "forgetting", "masked")
]


def table(copy, name):
    return pq.read_table(copy.folder / MODEL / f"{name}.parquet").to_pandas()


@pytest.mark.parametrize("stem", [*FIGURES, "results/figures/sequential_claims"])
def test_figures_are_there(sequenced, stem):
    assert (sequenced.folder / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (sequenced.folder / f"{stem}.svg").read_text()


def test_every_variant_is_regressed_and_too_few_pairs_say_so(sequenced):
    fits, pairs = table(sequenced, "regression"), table(sequenced, "pairs")
    assert set(fits["variant"]) == set(pairs["variant"]) and not fits["enough"].any()
    of_pairs = pairs.groupby("variant")["forgetting"].agg(lambda values: int(np.isfinite(values).sum()))
    for variant, rows in fits.groupby("variant"):
        assert set(rows["pairs"]) == {of_pairs[variant]}
        assert set(rows["pairs"] + rows["excluded"] + rows["undefined"]) == {
            (pairs["variant"] == variant).sum()
        }


def test_tasks_trained_together_have_their_circuits_combined(sequenced):
    rows = table(sequenced, "algebra")
    assert set(rows["composite"]) == {"add+max"} and set(rows["parts_found"]) == {"together", "alone"}
    for _, found in rows.groupby("parts_found"):
        edges = found.set_index("circuit")["edges"]
        assert (
            edges["union"] >= max(edges["first"], edges["second"]) and edges["union-as-own"] <= edges["own"]
        )


def test_claims_on_tasks_are_judged_apart(sequenced):
    rows = pq.read_table(sequenced.folder / "results/sequential/claims.parquet").to_pylist()
    verdicts = {row["claim"]: row["verdict"] for row in rows}
    assert {row["dataset"] for row in rows} == {"tasks"} and verdicts["union-as-faithful"] != "not run"
    assert {verdict for name, verdict in verdicts.items() if name.startswith("pythia")} == {"not run"}
    assert verdicts["forgetting-falls-with-overlap"] in ("inconclusive", "not run")  # two pairs
    summaries = pq.read_table(sequenced.folder / "results/claims.parquet").to_pylist()
    assert not {row["claim"] for row in summaries} & set(verdicts)


def test_another_pair_is_regressed_and_drawn_again_and_no_circuit_combined(sequenced):
    preset = sequenced.preset({"sequential.variants.inside.pairs": [["add", "max"], ["max", "add"]]})
    jobs = sequenced.plan("sequential", preset=preset).jobs
    assert "regress_forgetting" in jobs and "draw_sequential_heatmaps" in jobs
    assert not {"combine_circuits", "measure_task", "write_task"} & set(jobs)
