"""The folder of an unfinished run: who works in it, whether it is still the same run, and what of it can be gone on with."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from rewire.errors import InputError

log = logging.getLogger(__name__)

_held: dict[Path, IO[str]] = {}  # a lock lasts as long as its file is open


def fresh_unless_same(work: Path, identity: Mapping[str, Any]) -> None:
    """Take ``work`` for this process, and empty it unless it holds an unfinished run of the same ``identity`` and code.

    Errors: InputError if another process works there.
    """
    hold(work)
    marker = work / "identity.json"
    text = json.dumps({**identity, "code": library_code()}, sort_keys=True)
    found = marker.read_text(errors="replace") if marker.is_file() else None
    if found != text:
        left = [path for path in work.iterdir() if path.name != "lock"]
        if left:
            log.info("%s: an unfinished run with other settings or code is dropped", work)
        marker.unlink(missing_ok=True)  # first: killed half-way, what is left is nobody's run
        for path in left:
            remove(path)
        marker.write_text(text)


def hold(work: Path) -> None:
    """Make ``work`` and lock it until it is discarded or the process ends, however it ends.

    A killed Snakemake may leave jobs behind: the same job, started again, would write into the same folder.
    """
    place, lock = work.resolve(), work / "lock"
    if place in _held and is_at(_held[place], lock):
        return
    while True:
        work.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+")
        claim(file, work)
        if is_at(file, lock):  # else who held it has just removed the folder
            break
        file.close()
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}")
    file.flush()
    _held[place] = file


def claim(file: IO[str], work: Path) -> None:
    """Lock ``file`` of ``work``. Errors: InputError that says who has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read() or "another process"
        raise InputError(
            f"{work}: {holder} still works here; end it or let it finish, then start again"
        ) from None
    except OSError as error:  # a file system without locks
        log.info("%s: not locked: %s", work, os.strerror(error.errno or 0))


def is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one at ``path``."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def discard(work: Path) -> None:
    """Remove ``work``; killed half-way, it is dropped by the next run and never resumed."""
    (work / "identity.json").unlink(missing_ok=True)
    place = work.resolve()
    shutil.rmtree(work)
    if place in _held:
        _held.pop(place).close()


def library_code() -> str:
    """A hash of the library's modules that are loaded: what another version began is begun again."""
    found = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] == "rewire" and file:
            found.update(f"{name}\n".encode() + Path(file).read_bytes())
    return found.hexdigest()


def seal(checkpoint: Path) -> None:
    """Put down in ``checkpoint``, a folder that is written, what its files are."""
    (checkpoint / "seal.json").write_text(json.dumps(hashes(checkpoint)))


def last_checkpoint(work: Path) -> Path | None:
    """The newest Trainer checkpoint in ``work`` whose files are as they were sealed; others are removed."""
    checkpoints = sorted(work.glob("checkpoint-*"), key=lambda folder: -int(folder.name.split("-")[1]))
    for folder in checkpoints:
        if is_json(work / "before.json") and is_json(folder / "seal.json"):
            sealed, now = json.loads((folder / "seal.json").read_text()), hashes(folder)
            if sealed == now:
                return folder
            wrong = sorted(name for name in sealed.keys() | now.keys() if sealed.get(name) != now.get(name))
            log.info("%s: not as it was saved, the save before it is taken", folder / wrong[0])
        remove(folder)
    return None


def hashes(folder: Path) -> dict[str, str]:
    """File -> hash of its content, of all files in ``folder`` but the seal; what can't be read has none."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "seal.json":
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def is_json(path: Path) -> bool:
    """Whether the file is there and whole."""
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
