"""Killed anywhere, the same command goes on where it stopped and ends in the same bytes."""

import logging
import shutil
import sys
from pathlib import Path

import pytest
from nightly import NIGHTLY
from workflow.killing import Killer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
CELL = "small/newswire"
SEED = 5
log = logging.getLogger(__name__)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a job made in ``results``, by its path."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in found.items() if name != "results/README.md"}


def check_same(folder: Path, expected: dict[str, bytes]) -> None:
    found = contents(folder)
    assert found.keys() == expected.keys()
    assert not [name for name in found if found[name] != expected[name]]


def test_killed_jobs_end_in_the_same_bytes(clone, finished: Path) -> None:
    """Of training, attribution, generation and a table, while they work and while they write."""
    again = [f"checkpoints/{CELL}/step-000010", f"checkpoints/{CELL}/final", f"circuits/{CELL}/final"]
    for name in again:
        shutil.rmtree(clone.folder / "results" / name)
    tables = [f"checkpoints/{CELL}/training.parquet", f"summaries/{CELL}/final.parquet"]
    for name in tables:
        (clone.folder / "results" / name).unlink()
    quota = {"training": 1, "attribution": 1, "generation": 1, "write": 1, "snakemake": 1}
    killer = Killer(clone.folder, quota, SEED)
    targets = [*tables, again[0], f"circuits/{CELL}/final/circuit.json"]
    killer.run(*(f"results/{name}" for name in targets))
    assert killer.delivered.total() >= 3, killer.delivered
    check_same(clone.folder, contents(finished))


@pytest.mark.skipif(not NIGHTLY, reason="twenty minutes: REWIRE_NIGHTLY=1 runs it")
def test_thirty_kills_over_the_whole_run_end_in_the_same_bytes(make_copy, finished: Path) -> None:
    copy = make_copy("kills")
    quota = {"training": 9, "attribution": 6, "generation": 6, "table": 5, "write": 8, "snakemake": 5}
    killer = Killer(copy.folder, quota, SEED)
    killer.run("everything")
    log.info("%d kills in %d runs: %s", killer.delivered.total(), killer.runs, dict(killer.delivered))
    assert killer.delivered.total() >= 30 and all(killer.delivered[kind] for kind in quota)
    check_same(copy.folder, contents(finished))
