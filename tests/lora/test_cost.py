"""What a run cost: the peak of its own memory, not of what the process did before."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rewire import memory
from rewire.lora.cost import cost_row, start_measuring
from rewire.memory import forget_peak, peak_memory, peak_since_forgotten

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU counts its own memory")


@on_a_cpu
@pytest.mark.skipif(not forget_peak(), reason="this system keeps a process's peak")
def test_the_peak_is_this_run_s() -> None:
    before = np.ones(40_000_000)  # 320 MB, gone when the run starts
    earlier = peak_memory()
    del before
    timer = start_measuring()
    assert (peak_since_forgotten() or earlier) < earlier - 250e6
    held = np.ones(20_000_000)
    row = cost_row(timer, 3, strategy="standard")
    assert held.nbytes / 1e6 - 30 < float(row["peak_memory_mb"]) < earlier / 1e6 - 100
    assert peak_memory() == pytest.approx(
        earlier, rel=0.02
    )  # the job's log still says what the whole process needed


@on_a_cpu
def test_where_it_cannot_be_known_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FORGET", tmp_path / "no" / "clear_refs")
    assert cost_row(start_measuring(), 3)["peak_memory_mb"] == ""
