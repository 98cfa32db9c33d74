"""Peak memory of one attribution above the loaded model, in bytes, in a process of its own: a peak cannot be lowered.

As a program: peak_memory.py MODEL_FOLDER SIZE BATCH_TOKENS DEVICE DTYPE THREADS prints the number.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from stopwatch import peak_gpu_bytes
from subject import STEPS, Size, random_pairs

from rewire.circuits.attribution import attribute
from rewire.models import load


def peak_in_new_process(
    folder: Path, size: Size, batch_tokens: int, device: str, dtype: str, threads: int
) -> int:
    """Bytes that attribution of ``size`` needs above the loaded model. Errors: CalledProcessError if it fails."""
    arguments = [folder, f"{size.examples}x{size.length}", batch_tokens, device, dtype, threads]
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def status_bytes(field: str) -> int:
    """A field of /proc/self/status in bytes: ``VmRSS`` (resident now) or ``VmHWM`` (its peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


def forget_peak() -> None:
    """Set VmHWM back to VmRSS: proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    folder, size, batch_tokens, device, dtype, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = load(folder, dtype=getattr(torch, dtype))
    pairs = random_pairs(Size.parse(size), corrupted_from=0.25)
    with torch.no_grad():  # weights are mapped from the file and count as resident once read
        model.bridge.original_model(pairs.clean[:1, :8].to(device))

    def work() -> None:
        attribute(model, pairs, steps=STEPS, batch_tokens=int(batch_tokens))

    if device == "cuda":
        print(peak_gpu_bytes(work, device))
        return
    forget_peak()
    before = status_bytes("VmRSS")
    work()
    print(status_bytes("VmHWM") - before)


if __name__ == "__main__":
    main()
