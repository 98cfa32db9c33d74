"""What a workflow script leaves behind when its input is bad, when it breaks, and when all is well."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"


def run(
    tmp_path: Path, body: str, threads: int = 3, before: str = ""
) -> tuple[subprocess.CompletedProcess[str], str]:
    """A script whose job block is ``body``, and what its log says."""
    log = tmp_path / "job.log"
    script = tmp_path / "script.py"
    lines = "\n".join("    " + line for line in body.splitlines())
    script.write_text(
        "import logging, os, sys\nfrom rewire.errors import InputError\nfrom rewire.jobs import job\n"
        f"{before}with job({str(log)!r}, {threads}):\n{lines}\nprint('after')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text(encoding="utf-8")


def test_a_good_job_logs_and_goes_on(tmp_path: Path) -> None:
    done, log = run(
        tmp_path,
        "logging.getLogger('rewire.x').info('ten rows: %s', 'é')\nlogging.getLogger('datasets').info('noise')\n"
        "print(os.environ['OMP_NUM_THREADS'])",
    )
    assert (done.returncode, done.stdout) == (0, "3\nafter\n")
    assert "rewire.x: ten rows: é" in log
    assert "noise" not in log


def test_bad_input_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done, log = run(tmp_path, "raise InputError('articles.csv: no column summary')")
    assert done.returncode == 1
    assert done.stderr == "Error: articles.csv: no column summary\n"
    assert done.stdout == ""
    assert "articles.csv: no column summary" in log
    assert "Traceback" not in log


def test_bad_input_with_a_cause_shows_no_traceback(tmp_path: Path) -> None:
    done, log = run(
        tmp_path,
        "try:\n    {}['x']\nexcept KeyError as error:\n    raise InputError('x is missing') from error",
    )
    assert (done.returncode, done.stderr) == (1, "Error: x is missing\n")
    assert "KeyError" not in log


def test_a_line_break_out_of_the_data_does_not_break_the_line(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "raise InputError('row a\\nb: too long')")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("raised", ["ValueError('broken')", "KeyError('broken')"])
def test_other_exceptions_keep_their_traceback(tmp_path: Path, raised: str) -> None:
    done, log = run(tmp_path, f"def deep():\n    raise {raised}\ndeep()")
    assert done.returncode == 1
    for text in (done.stderr, log):
        assert "Traceback (most recent call last)" in text
        assert "in deep" in text
        assert "broken" in text


def test_the_log_of_an_earlier_attempt_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "job.log").write_text("an earlier attempt")
    _, log = run(tmp_path, "logging.getLogger('rewire').info('now')")
    assert "earlier" not in log


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core: torch has no choice")
def test_torch_uses_the_threads_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # as Snakemake does with one core; torch takes the smaller
    for threads in (1, 2):
        done, log = run(tmp_path, "import torch\nprint(torch.get_num_threads())", threads)
        assert done.stdout == f"{threads}\nafter\n"
        assert f"rewire.jobs: threads {threads}, CUDA_VISIBLE_DEVICES" in log.splitlines()[0]


@pytest.mark.parametrize("end", ["pass", "raise InputError('bad')", "raise ValueError('broken')"])
def test_the_log_ends_with_the_peak_memory(tmp_path: Path, end: str) -> None:
    """200 MB that are gone again when the job ends are counted."""
    _, log = run(tmp_path, f"block = bytearray(200_000_000)\ndel block\n{end}")
    peak = re.search(r"rewire.jobs: peak memory (\d+) MB\n$", log)
    assert peak is not None and 200 <= int(peak[1]) < 300


@pytest.mark.parametrize("end", ["", "\nraise InputError('bad')"])
def test_the_log_says_what_was_no_work(tmp_path: Path, end: str) -> None:
    """A module that takes 0.3 s to load, inside another, is counted once."""
    (tmp_path / "outer.py").write_text("import inner\n")
    (tmp_path / "inner.py").write_text("import time\ntime.sleep(0.3)\n")
    clock = "time.perf_counter()"
    body = f"begun = {clock}\nimport outer\nprint({clock} - begun)\nimport outer, inner\ntime.sleep(0.2){end}"
    done, log = run(tmp_path, body, before="import time\ntime.sleep(0.4)\n")
    found = re.search(r"rewire.jobs: ([\d.]+) s starting, ([\d.]+) s importing, ([\d.]+) s working\n", log)
    assert found is not None
    starting, importing, working = map(float, found.groups())
    assert starting >= 0.4 and working >= 0.2
    assert 0.3 <= importing <= float(done.stdout.split()[0]) + 0.01


def test_the_garbage_collector_rests_while_modules_are_imported_and_then_alone(tmp_path: Path) -> None:
    (tmp_path / "resting.py").write_text("import gc\nwhile_imported = gc.isenabled()\n")
    (tmp_path / "broken.py").write_text("raise ImportError\n")
    body = (
        "import gc, resting\nprint(resting.while_imported, gc.isenabled())\n"
        "try: import broken\nexcept ImportError: print(gc.isenabled())\n"
        "gc.disable()\nimport colorsys\nprint(gc.isenabled())"
    )
    done, _ = run(tmp_path, body)
    assert done.stdout.split() == ["False", "True", "True", "False", "after"]


def test_what_is_left_at_the_end_is_not_searched_for_garbage(tmp_path: Path) -> None:
    body = "import atexit, gc\nkept = [[] for _ in range(100)]\natexit.register(lambda: print(gc.get_freeze_count() >= 100))"
    done, _ = run(tmp_path, body)
    assert done.stdout.split() == ["after", "True"]


def test_the_log_names_the_cluster_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("JOB_ID", "12"), ("JOB_PARTITION", "gpu")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    _, log = run(tmp_path, "pass")
    assert "threads 3, CUDA_VISIBLE_DEVICES 1, Slurm job 12 in partition gpu" in log


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("OSError(28, 'No space', 'results/a/b')", "Error: results/a/b: No space left on device\n"),
        ("OSError(30, 'x')", "Error: a file: Read-only file system\n"),
        ("PermissionError(13, 'x', 'results/a')", "Error: results/a: Permission denied\n"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line(tmp_path: Path, raised: str, said: str) -> None:
    done, log = run(tmp_path, f"raise {raised}")
    assert (done.returncode, done.stderr) == (1, said)
    assert said.strip() in log and "Traceback" not in log


def test_a_file_that_is_missing_keeps_its_traceback(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "open('absent')")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_log_that_takes_no_more_ends_no_job(tmp_path: Path) -> None:
    done, _ = run(
        tmp_path,
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "logging.getLogger('rewire').info('x' * 1000)",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "after\n", "")
