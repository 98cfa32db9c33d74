"""What a run's processor cores do: the share of their time that is not the stages' own work.

python benchmarks/overhead.py [--cores 2] [--configfile config/smoke.yaml] [--folder FOLDER] [--finished]; prints Markdown.
Without --finished it clones the repository (its last commit) to FOLDER, by default a temporary one, and runs the
workflow there. With it, FOLDER has a run that was made by one command.

Jobs say in their logs how long they started, imported and worked (``rewire.jobs``), Snakemake's records when they were
run. A job holds as many cores as it has threads.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from joblog import said

ROOT = Path(__file__).parent.parent


class Job(NamedTuple):
    """Wall seconds of one job. ``start``, ``end``: since 1970, as Snakemake saw it run."""

    rule: str
    threads: int
    start: float
    end: float
    importing: float
    working: float

    @property
    def starting(self) -> float:
        """From Snakemake's start of the job to its end, all that is neither import nor work."""
        return self.end - self.start - self.importing - self.working


def jobs_of(folder: Path) -> Iterator[Job]:
    """Every job of the finished run in ``folder``; files that one job made share a record's log."""
    records = {}
    for path in (folder / ".snakemake/metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            # beside it a training logs what it cost
            records |= {log: record for log in record["log"] if log.endswith(".log")}
    for log, record in sorted(records.items()):
        job = said((folder / log).read_text(encoding="utf-8"))
        if job:
            times = record["starttime"], record["endtime"]
            yield Job(record["rule"], job.threads, *times, job.importing, job.working)


def elapsed(folder: Path) -> float:
    """Wall seconds of Snakemake's longest run in ``folder``, by what its log ends with."""
    found = [0.0]
    for log in (folder / ".snakemake/log").glob("*.snakemake.log"):
        for hours, minutes, seconds in re.findall(r"Elapsed time: (\d+):(\d+):([\d.]+)", log.read_text()):
            found.append(3600 * int(hours) + 60 * int(minutes) + float(seconds))
    return max(found)


def run(folder: Path, cores: int, configfile: str | None) -> None:
    """Clone the repository and run the workflow there."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    command = ["snakemake", "--cores", str(cores), "--quiet", "all"]
    chosen = ["--configfile", configfile] if configfile else []
    subprocess.run([*command, *chosen], cwd=folder, check=True, stdout=sys.stderr)


def report(jobs: list[Job], wall: float, cores: int) -> Iterator[str]:
    """Lines of Markdown: where the core seconds went, and the rules that are held longest beside their work."""
    capacity = cores * wall
    work = sum(job.threads * job.working for job in jobs)
    importing = sum(job.threads * job.importing for job in jobs)
    starting = sum(job.threads * job.starting for job in jobs)
    parts = {
        "stages' own work": work,
        "imports": importing,
        "start-up of jobs": starting,
        "no job: planning, scheduling, nothing left to start": capacity - work - importing - starting,
    }
    yield f"{len(jobs)} jobs, {wall:.0f} s on {cores} cores\n"
    yield "| core seconds | s | share |\n| --- | ---: | ---: |"
    for name, seconds in parts.items():
        yield f"| {name} | {seconds:.0f} | {seconds / capacity:.0%} |"
    yield f"| **outside the stages' own work** (target ≤ 35 %) | {capacity - work:.0f} | {1 - work / capacity:.0%} |\n"
    yield "| rule | jobs | start-up s a job | imports s a job | work s a job |\n| --- | ---: | ---: | ---: | ---: |"
    rules = defaultdict(list)
    for job in jobs:
        rules[job.rule].append(job)
    for rule, those in sorted(
        rules.items(), key=lambda item: -sum(j.starting + j.importing for j in item[1])
    ):
        each = [
            sum(getattr(job, name) for job in those) / len(those)
            for name in ("starting", "importing", "working")
        ]
        yield f"| {rule} | {len(those)} | " + " | ".join(f"{seconds:.1f}" for seconds in each) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--configfile")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--finished", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "rewire"
        if not options.finished:
            run(folder, options.cores, options.configfile)
        jobs, wall = list(jobs_of(folder)), elapsed(folder)
    if not jobs or not wall:
        raise SystemExit(f"{folder}: no finished run")
    print("\n".join(report(jobs, wall, options.cores)))


if __name__ == "__main__":
    main()
