"""Write a model and its tokenizer as one transformers folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any


def save_checkpoint(folder: str | Path, model: Any, tokenizer: Any = None) -> None:
    """``model`` (and ``tokenizer``) in transformers' format at ``folder``, replacing what is there."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    if tokenizer is not None:
        tokenizer.save_pretrained(partial)
    replace_folder(partial, folder)


def copy_folder(source: Path, folder: Path) -> None:
    """Copy ``source`` to ``folder``, whole or not at all, replacing what is there."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    replace_folder(partial, folder)


def replace_folder(partial: Path, folder: Path) -> None:
    """Rename ``partial`` to ``folder``; an old ``folder`` is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, folder)
