"""Write a file, or files that belong together, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from rewire.errors import InputError


def write_whole(path: str | Path, chunks: Iterable[bytes]) -> None:
    """Write ``chunks`` to ``path`` by way of a sibling that is gone afterwards; folders that are missing are made.

    Errors: InputError that names the file where it cannot be written (a folder is in its place, the disk is full).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.writelines(chunks)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_together(folder: str | Path, files: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Write ``files`` (name, chunks) to ``folder``, none before all of them are whole.

    Errors: InputError that names the file or the folder that cannot be written.
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        names = []
        for name, chunks in files:
            write_whole(partial / name, chunks)
            names.append(name)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(partial / name, folder / name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
