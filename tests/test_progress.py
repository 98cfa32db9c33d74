"""A bar in a terminal, nothing in a log: what a job says where."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

BAR = """
from rewire.progress import bar

with bar(3, "attribution", "example") as progress:
    for _ in range(3):
        progress.update()
        progress.refresh()
"""
TRAINING = """
import sys, tempfile
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from tiny_models import tiny_model, tiny_tokenizer, training_settings

from rewire.checkpoints.token_mean_trainer import Example
from rewire.checkpoints.training import Milestones, train

examples = [Example([1, 2, 3], [1, 2, 3])] * 4
settings = training_settings(batch_size=2, steps=2)
with tempfile.TemporaryDirectory() as folder:
    train(tiny_model(tiny_tokenizer()), examples, [], settings, Path(folder) / "w", Milestones(), lambda *_: None, 0)
"""


def said(program: str, terminal: bool) -> str:
    """What a program writes to stderr, a terminal or a pipe."""
    own, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))  # lines, columns
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    running = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(own, 65536):
            text += part
    except OSError:  # how a terminal ends whose other side is closed
        pass
    finally:
        os.close(own)
    assert running.wait(timeout=120) == 0, text.decode()
    return text.decode()


@pytest.mark.parametrize(
    ("program", "shown"), [(BAR, "attribution"), (TRAINING, "2/2")], ids=["bar", "training"]
)
def test_a_bar_is_shown_in_a_terminal_and_not_in_a_log(program: str, shown: str) -> None:
    seen = said(program, terminal=True)
    assert shown in seen and "%|" in seen
    logged = said(program, terminal=False)
    assert "%|" not in logged and "\r" not in logged
