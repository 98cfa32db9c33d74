"""Write a file, or files that belong together, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rewire.errors import InputError


@contextmanager
def replacing_file(path: str | Path) -> Iterator[Path]:
    """A sibling to write, which becomes ``path`` where the block ends well and is gone otherwise; folders are made.

    Errors: InputError that names the file where it cannot be written (a folder is in its place, the disk is full).
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: str | Path) -> Iterator[Path]:
    """An empty sibling to fill, which takes the place of ``folder`` where the block ends well; as ``replacing_file``."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    with explaining(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def explaining(path: str | Path) -> Iterator[None]:
    """InputError that names ``path`` in place of whatever a library raises where something cannot be written."""
    try:
        yield
    except Exception as error:
        reason = refusal(error)
        if reason is None:
            raise
        raise InputError(f"{path}: cannot be written: {reason}") from error


def refusal(error: Exception) -> str | None:
    """Why the operating system did not take what was written; None for an error of another kind.

    Libraries in Rust tell it in words alone, and torch not even that.
    """
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
    if found := re.search(r"([^:\"]+) \(os error \d+\)", str(error)):
        return found[1].strip()
    if any(words in str(error) for words in ("PytorchStreamWriter", "inline_container.cc", "iostream error")):
        return "the disk takes no more"
    return None


def write_whole(path: str | Path, chunks: Iterable[bytes]) -> None:
    """Write ``chunks`` to ``path``; errors as ``replacing_file``."""
    with replacing_file(path) as partial, partial.open("wb") as file:
        file.writelines(chunks)


def write_together(folder: str | Path, files: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Write ``files`` (name, chunks) to ``folder``, none before all of them are whole.

    Errors: InputError that names the file or the folder that cannot be written.
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        with explaining(folder):
            names = []
            for name, chunks in files:
                write_whole(partial / name, chunks)
                names.append(name)
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                os.replace(partial / name, folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
