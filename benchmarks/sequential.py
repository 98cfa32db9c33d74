"""What the pairs of a sequential run share: its time, against pairs that are run one by one.

python benchmarks/sequential.py [--logs logs] [--model calculator] [--variant kept]; prints a Markdown table, made from the logs of
a finished `snakemake sequential`. Nothing is run here.

Seconds are those that each job's own log ends with (``rewire.jobs``): wall time to start, to import and to work. Other work on
the machine lengthens them, so they are to be read off a run on a quiet machine, made by one command: a job that was interrupted and
goes on says no more than its last part. (Snakemake's own ``cpu_time`` does not serve: it is sampled every 30 s and not at the end.)

An **independent run** of a pair is what it takes when nothing of another pair is there: first task, second stage, and the
second task alone, which gain is measured against, each trained and measured. The base model and the tables of prompts are counted
on neither side. Without gain the second task alone is not needed: that row is apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from joblog import said

PARTS = ("training", "measures")
TARGET = 0.6


def seconds(log: Path) -> float:
    """Wall seconds of one job."""
    job = said(log.read_text(encoding="utf-8"))
    if job is None:
        raise SystemExit(f"{log}: no job that has ended")
    return job.seconds


def cost_of(folder: Path) -> float:
    """A run's training and measurement."""
    return sum(seconds(folder / f"{part}.log") for part in PARTS)


def costs(logs: Path, variant: str) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Seconds of the run of each task alone, and of each pair of the variant without what comes before its second stage."""
    pairs = {}
    for file in sorted(logs.glob(f"*/{variant}/measures.log")):
        first, _, second = file.parent.parent.name.partition("-")
        pairs[first, second] = cost_of(file.parent)
    tasks = {task: cost_of(logs / task) for task in sorted({task for pair in pairs for task in pair})}
    return tasks, pairs


def whole(logs: Path) -> float:
    """Seconds of every job below ``logs``."""
    jobs = (said(log.read_text(encoding="utf-8")) for log in sorted(logs.rglob("*.log")))
    return sum(job.seconds for job in jobs if job)


def report(tasks: dict[str, float], pairs: dict[tuple[str, str], float], everything: float) -> Iterator[str]:
    """Lines of Markdown."""
    second = sum(pairs.values())
    shared = sum(tasks.values()) + second
    without_gain = second + sum(tasks[first] for first, _ in pairs)
    independent = without_gain + sum(tasks[task] for _, task in pairs)
    met = "yes" if shared <= TARGET * independent else "no"
    yield f"{len(pairs)} pairs of {len(tasks)} tasks, wall seconds of training and measuring\n"
    yield "| what | s | ours / this | target | met |\n| --- | ---: | ---: | --- | --- |"
    yield f"| ours: each task alone once, then each second stage | {shared:.0f} | | | |"
    yield f"| independent runs | {independent:.0f} | {shared / independent:.2f} | ≤ {TARGET} | {met} |"
    yield (
        "| independent runs without the second task alone, hence without gain "
        f"| {without_gain:.0f} | {shared / without_gain:.2f} | | |"
    )
    yield f"| every job of the stage, base and all variants | {everything:.0f} | | | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, default=Path("logs"))
    parser.add_argument("--model", default="calculator")
    parser.add_argument("--variant", default="tenth")
    options = parser.parse_args()
    logs = options.logs / "sequential" / options.model
    tasks, pairs = costs(logs, options.variant)
    if not pairs:
        sys.exit(f"{logs}: no finished pair of variant {options.variant}")
    print("\n".join(report(tasks, pairs, whole(logs))))


if __name__ == "__main__":
    main()
