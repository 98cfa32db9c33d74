"""The workflow in a copy of the repository, and one finished smoke run that tests share.

REWIRE_SMOKE names a folder with a finished smoke run (sources, results, logs, .snakemake) to take in place of building
one. It is never written to: every worker of pytest-xdist tests in a copy of its own.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
PARTS = ("Snakefile", "config", "workflow", "src", "profiles", "envs")
SMOKE = "config/smoke.yaml"


@dataclass(frozen=True)
class Plan:
    """What a dry run would run; see ``planner.plan``."""

    jobs: dict[str, int]
    changed: list[str]
    outputs: list[str]


class Copy:
    """A copy of the repository in which Snakemake runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._planner: subprocess.Popen[str] | None = None
        if folder.exists():
            return
        folder.mkdir(parents=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)

    def snakemake(self, *arguments: str, preset: str | None = SMOKE, cores: int = 2, **environment: str):
        """Run Snakemake here; returns the finished process, its output as text."""
        chosen = ["--configfile", preset] if preset else []
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), *chosen],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"} | environment,
            capture_output=True,
            text=True,
            timeout=3000,
        )

    def plan(self, *targets: str, preset: str | None = SMOKE) -> Plan:
        """What a dry run would run. Errors: AssertionError with Snakemake's message."""
        answer = self.ask(targets, preset)
        assert "error" not in answer, answer["error"]
        return Plan(**answer)

    def refused(self, *targets: str, preset: str | None = SMOKE) -> str:
        """The message with which a dry run fails."""
        answer = self.ask(targets, preset)
        assert "error" in answer, answer
        return answer["error"]

    def planned(self, *targets: str, preset: str | None = SMOKE) -> dict[str, int]:
        """Rule -> number of jobs that a dry run would run."""
        return self.plan(*targets, preset=preset).jobs

    def record(self, *targets: str, preset: str | None = SMOKE) -> None:
        """Put down the jobs of ``targets``, whose files are there, as finished with the params that they have now."""
        answer = self.ask(targets, preset, record=True)
        assert "error" not in answer, answer["error"]

    def ask(self, targets: tuple[str, ...], preset: str | None, record: bool = False) -> dict[str, Any]:
        """The planner's answer; its process lives as long as this copy, since Snakemake's start is the slow part."""
        if self._planner is None:
            self._planner = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("planner.py"))],
                cwd=self.folder,
                env=os.environ | {"HF_HUB_OFFLINE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self._planner.stdin and self._planner.stdout
        self._planner.stdin.write(json.dumps({"targets": targets, "preset": preset, "record": record}) + "\n")
        self._planner.stdin.flush()
        return json.loads(self._planner.stdout.readline())

    def preset(self, changes: Mapping[str, Any], base: str = SMOKE) -> str:
        """A preset on top of ``base`` with other values at dotted keys; returns its path in this copy."""
        content = yaml.safe_load((self.folder / base).read_text())
        for key, value in changes.items():
            *parents, last = key.split(".")
            place = content
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        (self.folder / "config/changed.yaml").write_text(yaml.safe_dump(content))
        return "config/changed.yaml"

    def close(self) -> None:
        """End the planner."""
        if self._planner is not None:
            self._planner.communicate()
            self._planner = None


@pytest.fixture(scope="session")
def make_copy(tmp_path_factory) -> Iterator[Callable[[str], Copy]]:
    made = []

    def make(name: str) -> Copy:
        made.append(Copy(tmp_path_factory.mktemp(name) / "rewire"))
        return made[-1]

    yield make
    for copy in made:
        copy.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder with a finished smoke run, built by the first worker that asks for it; the others wait. Read only.

    Marks of pytest-xdist's groups would not do: with pytest 9.2 they are ignored (pytest-xdist issue 1386).
    """
    if given := os.environ.get("REWIRE_SMOKE"):
        return Path(given)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-smoke"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = folder.with_suffix(".log")
        if not log.exists():
            done = Copy(folder).snakemake("everything")
            log.write_text(f"{done.stdout}{done.stderr}\nexit code {done.returncode}\n")
    assert log.read_text().endswith("\nexit code 0\n"), log.read_text()[-5000:]
    return folder


def copy_of(finished: Path, folder: Path) -> Copy:
    """The finished run in another folder, its files' times kept."""
    shutil.copytree(
        finished,
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns(".git", "__pycache__"),
    )
    return Copy(folder)


@pytest.fixture(scope="session")
def smoke(finished, tmp_path_factory) -> Iterator[Copy]:
    """A copy in which the smoke run is finished; tests must leave its results as they found them."""
    copy = copy_of(finished, tmp_path_factory.mktemp("smoke") / "rewire")
    yield copy
    copy.close()


@pytest.fixture(scope="session")
def probed(smoke) -> Copy:
    """The same copy, in which the probes are finished too."""
    if smoke.planned("probes"):
        done = smoke.snakemake("probes")
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return smoke


@pytest.fixture(scope="session")
def sequenced(smoke) -> Copy:
    """The same copy, in which sequential fine-tuning is finished too."""
    if smoke.planned("sequential"):
        done = smoke.snakemake("sequential")
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return smoke


@pytest.fixture
def clone(finished, tmp_path) -> Iterator[Copy]:
    """Another copy of the finished run."""
    copy = copy_of(finished, tmp_path / "clone")
    yield copy
    copy.close()
