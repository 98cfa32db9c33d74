"""Kill the jobs of a Snakemake run, or Snakemake with all of them, at random moments."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

# the script that a job runs -> what is killed with it; every other job is a table or a figure
KINDS = {
    **dict.fromkeys(
        ("pretrain", "finetune", "lora_tune", "lora_adapter", "sequential_base", "sequential_train"),
        "training",
    ),
    **dict.fromkeys(
        ("circuit_scores", "robustness", "sequential_measures", "sequential_second"), "attribution"
    ),
    "summaries": "generation",
}
# seconds after a job's start within which it is killed: starting takes some, and the smoke run's jobs are short
WITHIN = {"training": 6.0, "attribution": 4.0, "generation": 4.0, "table": 2.0}
SCRIPT = re.compile(r"\.snakemake/scripts/[^/\s]*?\.(\w+)\.py")
PATIENCE = 900  # seconds that one run may take


class Killer:
    """Runs one command in ``folder`` over and over, killing as many jobs of each kind as ``quota`` says.

    Kinds: those of KINDS, ``table`` for other jobs, ``write`` for any job while it is writing its output, and
    ``snakemake`` for the whole process group. ``delivered`` counts the kills.
    """

    def __init__(self, folder: Path, quota: dict[str, int], seed: int) -> None:
        self.folder, self.quota = folder, Counter(quota)
        self.source = random.Random(seed)
        self.delivered: Counter[str] = Counter()
        self.runs = 0

    def run(self, *targets: str) -> str:
        """Run until a run ends well; returns what the last one said. Errors: AssertionError for a run that fails unkilled."""
        while True:
            self.runs += 1
            code, before, said = self.attempt(targets)
            if code == 0:
                return said
            assert self.delivered.total() > before, said[-5000:]

    def attempt(self, targets: tuple[str, ...]) -> tuple[int, int, str]:
        """One run with its kills: exit code, kills before it, and output."""
        before = self.delivered.total()
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/smoke.yaml"]
        output = self.folder / "killed.log"
        with output.open("w") as said:
            process = subprocess.Popen(
                [*command, "--", *targets],
                cwd=self.folder,
                env=os.environ | {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.haunt(process)
            code = process.wait()
        if code == -signal.SIGKILL:  # its lock is still there
            subprocess.run([*command, "--unlock"], cwd=self.folder, capture_output=True, check=True)
        return code, before, output.read_text()

    def haunt(self, process: subprocess.Popen[bytes]) -> None:
        """Kill jobs until Snakemake has ended."""
        fates: dict[int, tuple[str, float]] = {}  # process -> why it is killed, and when
        started = time.monotonic()
        # Snakemake is killed at a moment at which it may be reading its rules, too
        wanted = "snakemake" if self.left("snakemake") and self.source.random() < 0.3 else ""
        end = started + self.source.uniform(1, 20)
        while process.poll() is None:
            now = time.monotonic()
            assert now - started < PATIENCE
            if wanted and now > end:
                os.killpg(process.pid, signal.SIGKILL)
                self.delivered["snakemake"] += 1
                process.wait()
                while jobs_in(self.folder):  # its jobs are of the group and end with it
                    assert time.monotonic() < now + 10
                    time.sleep(0.05)
                return
            running = jobs_in(self.folder)
            for pid, script in running.items():
                if pid not in fates:
                    fates[pid] = self.fate(script, now)
                kind, moment = fates[pid]
                if now > moment and self.left(kind):
                    self.kill(pid, kind)
            writers = [pid for pid in running if fates[pid][0] == "write"]
            while writers and time.monotonic() < now + 0.05:  # a table is written in milliseconds
                for pid in writers:
                    if self.left("write") and is_writing(pid):
                        self.kill(pid, "write")
                        writers = []
            if not writers:
                time.sleep(0.05)

    def fate(self, script: str, now: float) -> tuple[str, float]:
        """Why and when a job that has just started is to be killed; never, where its kind has had its share."""
        kind = KINDS.get(script, "table")
        if self.left("write") and self.source.random() < 0.4:
            return "write", float("inf")
        if self.left(kind):
            return kind, now + self.source.uniform(0, WITHIN[kind])
        return kind, float("inf")

    def left(self, kind: str) -> bool:
        return self.delivered[kind] < self.quota[kind]

    def kill(self, pid: int, kind: str) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.delivered[kind] += 1


def is_writing(pid: int) -> bool:
    """Whether a process has a file open that is yet to be given its name."""
    try:
        return any(".partial" in str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has ended, or closed a file meanwhile
        return False


def jobs_in(folder: Path) -> dict[int, str]:
    """Process -> the script that it runs, of the jobs that run in ``folder``."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cwd").readlink() != folder:
                continue
            program, *arguments = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        script = SCRIPT.search(" ".join(arguments))
        if script and "python" in Path(program).name:
            found[int(entry.name)] = script[1]
    return found
