"""How long Snakemake takes to plan a large study: many models, datasets and checkpoints, nothing of it made yet.

python benchmarks/planning.py [--models 50] [--datasets 5] [--checkpoints 20] [--targets circuits all]; prints a Markdown
table. Needs Snakemake on the PATH, downloads nothing, writes nothing but a preset in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
FIGURE = "results/figures/model-1/data-1/heads.png"


class Plan(NamedTuple):
    """What a dry run took. ``cpu``: its seconds on a processor, which other work on the machine does not count in."""

    jobs: int
    wall: float
    cpu: float
    peak: int  # bytes


def preset(models: int, datasets: int, checkpoints: int) -> dict[str, Any]:
    """Every model on every dataset, all trained here; ``checkpoints`` with the base and the last."""
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    model, dataset = default["models"]["small"], default["datasets"]["newswire"]
    names = [f"model-{i}" for i in range(models)], [f"data-{i}" for i in range(datasets)]
    last = default["checkpoints"]["training"]["steps"]
    return {
        "models": dict.fromkeys(names[0], model),
        "datasets": {name: dataset | {"seed": i} for i, name in enumerate(names[1])},
        "runs": [{"model": m, "dataset": d} for m in names[0] for d in names[1]],
        "checkpoints": {"steps": [last * (i + 1) // checkpoints for i in range(checkpoints - 2)]},
    }


def dry_run(target: str, config: Path) -> Plan:
    """Plan ``target`` in a process of its own."""
    command = ["snakemake", "--dry-run", "--quiet", "rules", "--cores", "8", "--configfile", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryFile("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--", target], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        out.seek(0)
        printed = out.read()
    found = re.findall(r"^total\s+(\d+)", printed, re.M)
    if status or not found:
        raise SystemExit(f"snakemake failed on {target}:\n{printed[-2000:]}")
    return Plan(int(found[-1]), wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("models", 50), ("datasets", 5), ("checkpoints", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--targets", nargs="+", default=[FIGURE, "circuits", "all"])
    options = parser.parse_args()
    print(f"{options.models} models, {options.datasets} datasets, {options.checkpoints} checkpoints\n")
    print(
        "| target | jobs | wall s | CPU s | CPU ms a job | peak memory (MB) |\n|---|---:|---:|---:|---:|---:|"
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "preset.yaml"
        config.write_text(yaml.safe_dump(preset(options.models, options.datasets, options.checkpoints)))
        for target in options.targets:
            plan = dry_run(target, config)
            print(
                f"| {target} | {plan.jobs:,} | {plan.wall:.1f} | {plan.cpu:.1f} | {1000 * plan.cpu / plan.jobs:.2f} "
                f"| {plan.peak / 1e6:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
