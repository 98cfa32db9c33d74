"""A checkpoint on the way: what the fine-tuning kept of that step or, where it kept nothing, the same training again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.whole_file import explaining


def write_step(
    store: str | Path,
    base: str | Path,
    train_articles: str | Path,
    settings: Mapping[str, Any],
    step: int,
    folder: str | Path,
    work: str | Path,
    language: str = "en",
) -> None:
    """The checkpoint of ``step`` to ``folder``, whose name is the step's: moved from ``store``, else trained anew.

    A step that is asked for after the fine-tuning so costs a training up to it, and touches no other checkpoint.
    ``settings``, ``work``, ``language``: as of ``finetuning.train_until``.
    """
    kept = Path(store) / Path(folder).name
    if kept.is_dir():
        with explaining(folder):
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(kept, folder)
        return
    from rewire.checkpoints.finetuning import train_until  # takes seconds to import

    train_until(base, train_articles, settings, step, folder, work, language)
