"""The same config in another folder gives the same bytes: every table, score, circuit, adapter, checkpoint and figure."""

from pathlib import Path

import pytest
from nightly import NIGHTLY
from workflow.test_kills import CELL, check_same, contents


def test_stages_that_run_again_elsewhere_give_the_same_bytes(clone, finished: Path) -> None:
    """Training an adapter, scores, differential analysis, faithfulness, summaries: jobs that nothing else here is made of."""
    targets = [
        f"lora/{CELL}/targeted/seed-1/adapter",
        f"circuits/{CELL}/lora-standard/scores.safetensors",
        f"differential/{CELL}/step-000010/summary.parquet",
        f"faithfulness/{CELL}/final/curve.parquet",
        f"summaries/{CELL}/final.parquet",
    ]
    done = clone.snakemake("--force", *(f"results/{name}" for name in targets))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert f"{len(targets)} of {len(targets)} steps" in done.stdout + done.stderr
    check_same(clone.folder, contents(finished))


def test_training_on_one_core_gives_the_same_bytes(clone, finished: Path) -> None:
    """Its two threads share the core: sums of another number of threads would differ in their last bits."""
    target = f"results/checkpoints/{CELL}/base"
    done = clone.snakemake("--force", target, cores=1)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    log = (clone.folder / f"logs/checkpoints/{CELL}/pretrain.log").read_text()
    assert "threads 2," in log.splitlines()[0]
    check_same(clone.folder, contents(finished))


@pytest.mark.skipif(not NIGHTLY, reason="a second smoke run: REWIRE_NIGHTLY=1 runs it")
def test_two_smoke_runs_give_the_same_bytes(make_copy, finished: Path) -> None:
    copy = make_copy("twice")
    done = copy.snakemake("everything")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    check_same(copy.folder, contents(finished))
