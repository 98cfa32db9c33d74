"""Whatever a job reads may be broken, and what it writes may not fit: one line that names the file, nothing half-written.

The jobs of a finished smoke run, one a rule, with each file that they read spoiled in turn.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nightly import NIGHTLY
from workflow.test_rebuilds import EVERY_JOB


class Worker:
    """Jobs of the run in ``folder``, run in one process of its own; see ``worker``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), "config/smoke.yaml"],
            cwd=folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(folder / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.jobs = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def run(self, rule: str, largest_file: int | None = None) -> dict[str, Any]:
        """The rule's job without its outputs: its exit code, message and seconds. The outputs are put back as they were."""
        outputs = {path: self.folder / path for path in self.jobs[rule]["outputs"]}
        away = self.folder / "away"
        for number, path in enumerate(outputs.values()):
            away.mkdir(exist_ok=True)
            shutil.move(path, away / str(number))
        before = self.listing()
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps({"rule": rule, "largest_file": largest_file}) + "\n")
            self.process.stdin.flush()
            answer = self.answer()
            return answer | {
                "new": self.listing() - before,
                "written": contents(self.folder, list(outputs)),
            }
        finally:
            for number, path in enumerate(outputs.values()):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                shutil.move(away / str(number), path)

    def listing(self) -> set[str]:
        """Every file in ``results``, but for what a training run goes on from."""
        files = [path for path in (self.folder / "results").rglob("*") if path.is_file()]
        names = {path.relative_to(self.folder).as_posix() for path in files}
        return {name for name in names if not any(part in name for part in UNFINISHED)}

    def close(self) -> None:
        self.process.communicate()


# the tables of the contest and of the training are there to be made before
ONLY_ORDERED = {"draw_bakeoff_losses", "keep_step"}
UNFINISHED = ("/.pretraining/", "/.finetuning/", "/.tuning/", "/.training/", "/.step-", "/.kept/", ".work/")


@pytest.fixture(scope="module")
def worker(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("broken") / "rewire"
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    worker = Worker(folder)
    yield worker
    worker.close()


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[: min(64, len(content))] = bytes(range(200, 200 - min(64, len(content)), -1))
    path.write_bytes(content)


def lost(path: Path) -> None:
    path.unlink()


def in_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)  # no one can read it, root neither


HARM: dict[str, Callable[[Path], None]] = {
    "half": half, "empty": emptied, "garbled": garbled, "lost": lost, "unreadable": in_a_loop,
}  # fmt: skip


def inside(path: Path) -> list[Path]:
    """The files of a folder, and of its folders, that a model or an adapter cannot do without; of a file, that file."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in (".json", ".safetensors", ".parquet"))


@contextmanager
def spoiled(file: Path, harm: str, kept: Path) -> Iterator[None]:
    """Do harm to a file, for a while."""
    shutil.copy2(file, kept)
    HARM[harm](file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        shutil.move(kept, file)


def contents(folder: Path, paths: list[str]) -> dict[str, bytes]:
    """Every file of ``paths``, files or folders, by its path; what a job cost is no result."""
    files = [
        file
        for path in paths
        for file in ([folder / path] if (folder / path).is_file() else (folder / path).rglob("*"))
    ]
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file.is_file() and not file.is_relative_to(folder / "logs") and file.name != ".snakemake_timestamp"
    }


def check_refused(answer: dict[str, Any], name: str, expected: dict[str, bytes]) -> None:
    """One line that has ``name`` in it, and nothing new on the disk but whole outputs."""
    message = answer["message"]
    assert answer["code"] == 1, message
    assert message.startswith("Error: ") and "\n" not in message and len(message) < 600, message
    assert name in message, (message, name)
    assert answer["written"].items() <= expected.items()
    assert answer["new"] <= expected.keys(), answer["new"]


OPTIONAL = ("generation_config.json", "tokenizer_config.json")  # a model folder need not have them
PROBES = {
    "patch_study", "patch_neurons", "read_study", "compare_groups", "cross_study", "cross_pairs", "judge_probe_claims",
    "write_probe_page", "draw_cross_study", "draw_cross_pairs", "draw_probe_positions", "draw_probe_heads",
    "draw_probe_neurons", "draw_probe_logits", "draw_probe_attention", "draw_probe_patterns", "draw_probe_pairings",
    "draw_probe_agreement",
}  # fmt: skip
SEQUENTIAL = {
    "pretrain_on_tasks", "write_task", "train_task", "train_second_task", "measure_task", "measure_second_task", "judge_task",
    "combine_circuits", "gather_pairs", "regress_forgetting", "judge_sequential_claims", "draw_sequential_accuracy",
    "draw_sequential_changes", "draw_sequential_claims", "draw_sequential_forgetting", "draw_sequential_heatmaps",
    "draw_sequential_masked",
}  # fmt: skip
RULES = EVERY_JOB.keys() - {"all"} | PROBES | SEQUENTIAL
# jobs that run to their end where a file is spoiled that they do not read
LONG = {
    "finetune", "tune_strategy", "train_adapter", "build_continuations", "compare_with_base", "compare_with_last",
    "test_robustness", "test_circuit", "evaluate_circuit", "draw_bakeoff_losses", "keep_step",
    "measure_second_task", "combine_circuits",
}  # fmt: skip


def test_these_are_all_rules_of_everything(worker: Worker) -> None:
    assert worker.jobs.keys() == RULES


def harms(number: int) -> list[str]:
    """All kinds of harm at night, by day one of them in turn."""
    return list(HARM) if NIGHTLY else [list(HARM)[number % len(HARM)]]


@pytest.mark.parametrize("rule", sorted(RULES if NIGHTLY else RULES - LONG))
def test_a_broken_input_is_named_in_one_line(worker: Worker, rule: str, tmp_path: Path) -> None:
    """Or makes no difference: a model folder has files that not everything reads."""
    if not worker.jobs[rule]["inputs"]:
        return
    expected = contents(worker.folder, worker.jobs[rule]["outputs"])
    number = sum(map(ord, rule))
    for path in worker.jobs[rule]["inputs"].values():
        for file in inside(worker.folder / path):
            for harm in harms(number):
                with spoiled(file, harm, tmp_path / "kept"):
                    answer = worker.run(rule)
                if answer["code"] == 0:
                    different = {name for name in expected if answer["written"].get(name) != expected[name]}
                    if harm != "lost" or file.name not in OPTIONAL:
                        assert not different, (harm, file, different)
                    assert (worker.folder / path).is_dir() or rule in ONLY_ORDERED, f"{path} is not read"
                else:
                    check_refused(answer, path, expected)
            number += 1


BY_DAY = {"write_articles", "find_scores", "train_adapter", "draw_heads", "judge_claims"}


@pytest.mark.parametrize("rule", sorted(RULES if NIGHTLY else BY_DAY))
def test_a_file_that_cannot_be_written_whole_is_not_there(worker: Worker, rule: str) -> None:
    """Files take no more than half of the job's largest output, as on a disk that is full; with room the job goes on."""
    outputs = worker.jobs[rule]["outputs"]
    files = [file for path in outputs for file in [worker.folder / path, *(worker.folder / path).rglob("*")]]
    largest = max(file.stat().st_size for file in files if file.is_file())
    expected = contents(worker.folder, outputs)
    answer = worker.run(rule, largest // 2)
    message = answer["message"]
    assert answer["code"] == 1, message
    assert message.startswith("Error: ") and "\n" not in message, message
    assert "cannot be written: " in message and ("File too large" in message or "no more" in message), message
    assert answer["written"].items() <= expected.items() and answer["new"] <= expected.keys(), answer["new"]
    assert worker.run(rule)["written"] == expected
