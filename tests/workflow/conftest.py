"""The workflow in a copy of the repository, and one finished smoke run that tests share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PARTS = ("Snakefile", "config", "workflow", "src", "profiles", "envs")


class Copy:
    """A copy of the repository in which Snakemake runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)

    def snakemake(self, *arguments: str, preset: str | None = "config/smoke.yaml", **environment: str):
        """Run Snakemake here; returns the finished process, its output as text."""
        chosen = ["--configfile", preset] if preset else []
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", *chosen],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"} | environment,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def planned(self, *arguments: str, preset: str | None = "config/smoke.yaml") -> dict[str, int]:
        """Rule -> number of jobs that a dry run would run."""
        done = self.snakemake(*arguments, "--dry-run", preset=preset)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        lines = (done.stdout + done.stderr).splitlines()
        if "job" not in {line.split()[0] for line in lines if line.split()}:
            return {}
        start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["job", "count"])
        counts = {}
        for line in lines[start + 2 :]:
            parts = line.split()
            if len(parts) != 2 or parts[0] == "total":
                break
            counts[parts[0]] = int(parts[1])
        return counts


@pytest.fixture(scope="session")
def make_copy(tmp_path_factory):
    return lambda name: Copy(tmp_path_factory.mktemp(name) / "rewire")


@pytest.fixture(scope="session")
def smoke(make_copy) -> Copy:
    """A copy in which the smoke run is finished; tests must leave its results as they found them."""
    copy = make_copy("smoke")
    done = copy.snakemake()
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return copy
