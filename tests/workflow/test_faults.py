"""A disk that is full, results that are read-only, two Snakemakes at once: said in a line, and nothing is spoiled."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workflow.conftest import SMOKE, Copy

CELL = "small/newswire"


def mounted(*arguments: str) -> bool:
    """Whether a mount that only root can make was made."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """What is in ``folder``, on a disk of ``size`` bytes. Skips where none can be mounted."""
    kept = folder.with_name(f"{folder.name}.kept")
    folder.rename(kept)
    folder.mkdir()
    if not mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        pytest.skip("no disk can be mounted here")
    try:
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """``folder``, not to be written to. Skips where that cannot be had: root may write anywhere but on such a mount."""
    if os.geteuid() != 0:
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")] if path.is_dir()}
        for path in modes:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    if not mounted("--bind", str(folder), str(folder)):
        pytest.skip("no folder can be mounted read-only here")
    try:
        if not mounted("-o", "remount,ro,bind", str(folder)):
            pytest.skip("no folder can be mounted read-only here")
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def error_line(said: str) -> str:
    """The one line in which a job says why it ends; there is no traceback."""
    assert "Traceback" not in said, said[-5000:]
    lines = {line.strip() for line in said.splitlines() if line.startswith("Error: ")}
    assert len(lines) == 1, said[-5000:]
    return lines.pop()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def size_of(folder: Path) -> int:
    """Bytes that a disk needs for a folder: whole pages, and one for each file's name."""
    return sum(4096 * (2 + path.lstat().st_size // 4096) for path in folder.rglob("*"))


def test_a_full_disk_leaves_nothing_half_written(clone: Copy) -> None:
    """Of two outputs one is cut short: neither is there, all else is, and with room again both are made."""
    results = clone.folder / "results"
    png = f"figures/{CELL}/heads.png"
    both = {png, png.replace(".png", ".svg")}
    expected = contents(results)
    room = 8192
    assert all(len(expected[name]) > room for name in both)
    with small_disk(results, size_of(results) + 20_000):
        for name in both:
            (results / name).unlink()
        filler = results / "filler"
        filler.write_bytes(b"\0" * (shutil.disk_usage(results).free - room))
        done = clone.snakemake(f"results/{png}")
        assert done.returncode != 0
        line = error_line(done.stdout + done.stderr)
        assert line == f"Error: results/{png}: cannot be written: No space left on device"
        filler.unlink()
        assert contents(results) == {name: content for name, content in expected.items() if name not in both}
        again = clone.snakemake(f"results/{png}")
        assert again.returncode == 0, again.stderr[-3000:]
        assert contents(results) == expected


@pytest.mark.parametrize(
    ("target", "there", "message"),
    [
        (f"figures/{CELL}/heads.png", True, "Write-protected output files for rule draw_heads"),
        (
            "articles/newswire/test.parquet",
            False,
            "results: the folder is read-only, nothing can be written",
        ),
    ],
)
def test_read_only_results_are_named(clone: Copy, target: str, there: bool, message: str) -> None:
    """By Snakemake where it is to write over a file, else before any job starts."""
    results = clone.folder / "results"
    if not there:
        (results / target).unlink()
    before = contents(results)
    with read_only(results):
        done = clone.snakemake("--force", f"results/{target}")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert message in said and "Traceback" not in said, said
    assert contents(results) == before


def test_a_second_snakemake_is_told_to_wait_and_the_first_goes_on(clone: Copy) -> None:
    target = f"results/summaries/{CELL}/final.parquet"
    expected = (clone.folder / target).read_bytes()
    (clone.folder / target).unlink()
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", SMOKE, "--", target],
        cwd=clone.folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    locks = clone.folder / ".snakemake" / "locks"
    while first.poll() is None and not list(locks.glob("*.lock")):
        time.sleep(0.02)
    second = clone.snakemake(target)
    assert first.poll() is None, "the first ended before the second began"
    assert second.returncode != 0
    said = second.stdout + second.stderr
    assert "Directory cannot be locked" in said and "Traceback" not in said
    output, _ = first.communicate()
    assert first.returncode == 0, output[-3000:]
    assert (clone.folder / target).read_bytes() == expected
    assert not clone.planned(target)
