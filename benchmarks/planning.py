"""How long Snakemake takes to plan a large study: many models, datasets and checkpoints, nothing of it made yet.

python benchmarks/planning.py [--models 50] [--datasets 5] [--checkpoints 20] [--targets circuits all]; prints a Markdown
table. Needs Snakemake on the PATH, downloads nothing, writes nothing but files in a temporary folder. Its last row is
Snakemake's own part: as many jobs as the last target has, each with one input, one output and a script, in chains of ten.
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
BARE = """
rule all:
    input: expand("{{i}}-9", i=range({chains}))
for step in range(10):
    rule:
        name: f"step_{{step}}"
        input: f"{{{{i}}}}-{{step - 1}}" if step else []
        output: f"{{{{i}}}}-{{step}}"
        wildcard_constraints: i=r"\\d+"
        script: "script.py"
"""


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


def bare(folder: Path, jobs: int) -> Plan:
    """Plan about that many jobs that have nothing to them."""
    (folder / "script.py").touch()
    (folder / "Snakefile").write_text(BARE.format(chains=max(1, jobs // 10)))
    return dry_run("all", folder)


def dry_run(target: str, folder: Path, *arguments: str) -> Plan:
    """Plan ``target`` of the workflow in ``folder``, in a process of its own."""
    command = ["snakemake", "--dry-run", "--quiet", "rules", "--cores", "8", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryFile("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--", target], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        out.seek(0)
        printed = out.read()
    found = re.findall(r"^total\s+(\d+)", printed, re.M)
    if status or not found:
        raise SystemExit(f"snakemake failed on {target}:\n{printed[-2000:]}")
    return Plan(int(found[-1]), wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def row(what: str, plan: Plan) -> str:
    """One line of the table."""
    each = 1000 * plan.cpu / plan.jobs
    return (
        f"| {what} | {plan.jobs:,} | {plan.wall:.1f} | {plan.cpu:.1f} | {each:.2f} | {plan.peak / 1e6:.0f} |"
    )


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
        jobs = 0
        for target in options.targets:
            plan = dry_run(target, ROOT, "--configfile", str(config))
            print(row(target, plan), flush=True)
            jobs = plan.jobs
        print(row("as many bare jobs", bare(Path(folder), jobs)))


if __name__ == "__main__":
    main()
