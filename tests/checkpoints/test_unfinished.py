"""An unfinished run: when it is dropped, which of its saves is taken, and that two processes never share it."""

import logging
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer, training_settings

from rewire.checkpoints.token_mean_trainer import IGNORED, Example
from rewire.checkpoints.training import Milestones, train
from rewire.checkpoints.unfinished import (
    discard,
    fresh_unless_same,
    hold,
    last_checkpoint,
    library_code,
)
from rewire.errors import InputError

SAVED = [
    "model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
    "config.json",
    "seal.json",
]


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def undisturbed(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list, dict]:
    return run(tokenizer, tmp_path_factory.mktemp("undisturbed") / "work")


def run(tokenizer: Any, work: Path, killed: int | None = None) -> tuple[list, dict[str, torch.Tensor]]:
    """Rows and last weights of six steps, saved for a resume after 2 and 4."""

    def keep(model: Any, step: int) -> None:
        if step == killed:
            raise Killed

    model = tiny_model(tokenizer, dropout=0.1)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 400, (20, 12), generator=generator).tolist()
    examples = [Example(row, [IGNORED] * 4 + row[4:]) for row in tokens]
    settings = training_settings(steps=6, resume_every=2)
    milestones = Milestones(validated=(3, 6), kept=(5, 6))
    rows = train(model, examples, examples[:5], settings, work, milestones, keep, 0)
    return rows, {name: value.clone() for name, value in model.state_dict().items()}


def check_same(found: tuple[list, dict], expected: tuple[list, dict]) -> None:
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], value) for name, value in expected[1].items())


def killed_run(tokenizer: Any, work: Path) -> list[Path]:
    """The saves of a run that was killed at step 5, the newest first."""
    with pytest.raises(Killed):
        run(tokenizer, work, killed=5)
    saves = [work / "checkpoint-4", work / "checkpoint-2"]
    assert all(set(SAVED) <= {path.name for path in folder.iterdir()} for folder in saves)
    return saves


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [halve, turn_a_byte, Path.unlink])
@pytest.mark.parametrize("name", SAVED)
def test_a_spoiled_save_is_not_taken(tokenizer, undisturbed, tmp_path, name, harm) -> None:
    """As a power cut or a full disk leaves it: the save before it is taken, and the end is the same."""
    newest, before = killed_run(tokenizer, tmp_path)
    assert last_checkpoint(tmp_path) == newest
    harm(newest / name)
    assert last_checkpoint(tmp_path) == before and not newest.exists()
    check_same(run(tokenizer, tmp_path), undisturbed)


def test_the_log_names_the_file(tokenizer, tmp_path, caplog) -> None:
    newest, _ = killed_run(tokenizer, tmp_path)
    halve(newest / "optimizer.pt")
    with caplog.at_level(logging.INFO):
        last_checkpoint(tmp_path)
    assert f"{newest}/optimizer.pt: not as it was saved" in caplog.text


def test_without_a_whole_save_it_starts_again(tokenizer, undisturbed, tmp_path) -> None:
    for folder in killed_run(tokenizer, tmp_path):
        halve(folder / "model.safetensors")
    check_same(run(tokenizer, tmp_path), undisturbed)
    killed_run(tokenizer, tmp_path)
    halve(tmp_path / "before.json")
    check_same(run(tokenizer, tmp_path), undisturbed)


def test_fresh_unless_same(tmp_path: Path) -> None:
    work = tmp_path / "deep" / "work"
    fresh_unless_same(work, {"a": 1, "b": 2})
    (work / "kept").mkdir()
    fresh_unless_same(work, {"b": 2, "a": 1})
    assert (work / "kept").exists()
    fresh_unless_same(work, {"a": 1, "b": 3})
    assert not (work / "kept").exists()
    (work / "identity.json").unlink()
    (work / "kept").mkdir()
    fresh_unless_same(work, {"a": 1, "b": 3})
    assert not (work / "kept").exists()


def test_another_version_of_the_library_begins_again(tmp_path, monkeypatch) -> None:
    module = types.ModuleType("rewire.of_this_test")
    module.__file__ = str(tmp_path / "module.py")
    monkeypatch.setitem(sys.modules, "rewire.of_this_test", module)
    (tmp_path / "module.py").write_text("smoothing = 0")
    work, code = tmp_path / "work", library_code()
    fresh_unless_same(work, {})
    (work / "kept").mkdir()
    fresh_unless_same(work, {})
    assert (work / "kept").exists()
    (tmp_path / "module.py").write_text("smoothing = 1")
    assert library_code() != code
    fresh_unless_same(work, {})
    assert not (work / "kept").exists()


HOLD = "import sys\nfrom rewire.checkpoints.unfinished import hold\nhold(__import__('pathlib').Path(sys.argv[1]))\nprint('held')\n"


def other_process(work: Path, more: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD + more, work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_never_share_a_run(tmp_path: Path) -> None:
    """A killed Snakemake leaves its jobs running: the same job does not write beside them."""
    work = tmp_path / "work"
    fresh_unless_same(work, {"a": 1})
    hold(work)  # again, by the same process
    (work / "kept").mkdir()
    said = other_process(work).communicate()[1]
    assert f"{work}: process {os.getpid()} on {os.uname().nodename} still works here" in said
    assert (work / "kept").exists()
    discard(work)
    assert not work.exists()
    assert other_process(work).communicate()[0] == "held\n"


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    first = other_process(tmp_path, "sys.stdout.flush()\nsys.stdin.read()")
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {first.pid} "):
        hold(tmp_path)
    first.kill()
    first.communicate()
    hold(tmp_path)
    assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {os.uname().nodename}"
