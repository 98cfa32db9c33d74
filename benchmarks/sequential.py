"""What the pairs of a sequential run share: processor time of all of them against pairs that are run one by one.

python benchmarks/sequential.py [--logs logs] [--model calculator] [--variant kept]; prints a Markdown table, made from what
Snakemake's `benchmark:` wrote of a finished `snakemake sequential`. Nothing is run here.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

PARTS = ("training", "measures")
TARGET = 0.6


def seconds(file: Path) -> float:
    """Processor time of one job: Snakemake's ``cpu_time``, which other work on the machine does not change."""
    with file.open(newline="") as lines:
        return float(next(csv.DictReader(lines, delimiter="\t"))["cpu_time"])


def cost_of(folder: Path) -> float:
    """A run's training and measurement."""
    return sum(seconds(folder / f"{part}.benchmark.tsv") for part in PARTS)


def costs(logs: Path, variant: str) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Seconds of the run of each task alone, and of each pair of the variant without what comes before its second stage."""
    pairs = {}
    for file in sorted(logs.glob(f"*/{variant}/measures.benchmark.tsv")):
        first, _, second = file.parent.parent.name.partition("-")
        pairs[first, second] = cost_of(file.parent)
    tasks = {task: cost_of(logs / task) for task in sorted({task for pair in pairs for task in pair})}
    return tasks, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, default=Path("logs"))
    parser.add_argument("--model", default="calculator")
    parser.add_argument("--variant", default="kept")
    options = parser.parse_args()
    logs = options.logs / "sequential" / options.model
    tasks, pairs = costs(logs, options.variant)
    if not pairs:
        sys.exit(f"{logs}: no finished pair of variant {options.variant}")
    second = sum(pairs.values())
    shared = sum(tasks.values()) + second
    first_again = sum(tasks[first] for first, _ in pairs) + second
    both_again = sum(tasks[first] + tasks[task] for first, task in pairs) + second
    everything = sum(seconds(file) for file in sorted(logs.rglob("*.benchmark.tsv")))
    print(f"{len(pairs)} pairs of {len(tasks)} tasks, processor seconds of training and measuring\n")
    print("| what | seconds | ours / this | target | met |\n| --- | --- | --- | --- | --- |")
    print(f"| ours: each task once, then each second stage | {shared:.0f} | | | |")
    print(
        f"| pairs by themselves, first task and second task alone again | {both_again:.0f} | {shared / both_again:.2f} "
        f"| ≤ {TARGET} | {'yes' if shared / both_again <= TARGET else 'no'} |"
    )
    print(
        f"| the same without the second task alone, hence without gain | {first_again:.0f} | {shared / first_again:.2f} | | |"
    )
    print(f"| the whole run, base and every variant | {everything:.0f} | | | |")


if __name__ == "__main__":
    main()
