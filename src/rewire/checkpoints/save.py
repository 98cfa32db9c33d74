"""Write a model and its tokenizer as one transformers folder, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from rewire.whole_file import replacing_folder

# what transformers would write down of a tokenizer's loading: with it, files would differ with HF_HUB_OFFLINE
HOW_IT_WAS_READ = ("is_local", "local_files_only")


def save_checkpoint(folder: str | Path, model: Any, tokenizer: Any = None) -> None:
    """``model`` (and ``tokenizer``) in transformers' format at ``folder``, replacing what is there.

    Errors: InputError that names the folder if it cannot be written.
    """
    with replacing_folder(folder) as partial:
        model.save_pretrained(partial)
        if tokenizer is not None:
            for name in HOW_IT_WAS_READ:
                tokenizer.init_kwargs.pop(name, None)
            tokenizer.save_pretrained(partial)


def copy_folder(source: Path, folder: Path) -> None:
    """Copy ``source`` to ``folder``, whole or not at all, replacing what is there."""
    with replacing_folder(folder) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
