"""What every workflow script does around its one library call: log file, threads, one-line errors, what it used."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rewire.errors import InputError
from rewire.memory import peak_memory
from rewire.startup import age, counted_imports

messages = logging.getLogger("rewire.jobs")
# what an operating system answers where no program is to blame
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}

POOLS = ("OMP", "MKL", "OPENBLAS", "GOTO")  # Snakemake sets these to the cores that it has


@contextmanager
def job(log: str, threads: int = 1) -> Iterator[None]:
    """Log to the file ``log``, give numeric libraries ``threads`` threads, end bad input in one line.

    Import numeric libraries inside the block: they read the number of threads when they are imported.
    The log begins with what the job was given and ends with the wall seconds that it took to start, to import and to work
    (``benchmarks/overhead.py`` reads them) and its peak memory, however it ends.
    An InputError ends the process with exit code 1 and its message, and so does a file system that is full or read-only;
    any other exception keeps its traceback.
    """
    started, start = age(), time.perf_counter()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for library in POOLS:
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if not sys.stderr.isatty():  # bars of huggingface_hub, transformers and datasets
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    handler = logging.FileHandler(log, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "filelock", "matplotlib", "fontTools", "datasets", "transformer_lens"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    messages.info("%s", allocation(threads))
    logging.raiseExceptions = False  # a log that takes no more is no reason to fail
    try:
        with counted_imports() as imports:
            yield
    except InputError as error:
        end(str(error))
    except OSError as error:
        if error.errno in REFUSED:
            end(f"{error.filename or 'a file'}: {os.strerror(error.errno)}")
        logging.getLogger("rewire").exception("the job failed")
        raise
    except Exception:
        logging.getLogger("rewire").exception("the job failed")
        raise
    finally:
        work = time.perf_counter() - start - imports.seconds
        messages.info("%.2f s starting, %.2f s importing, %.2f s working", started, imports.seconds, work)
        messages.info("peak memory %d MB", peak_memory() // 10**6)  # as ``mem_mb`` counts
        # the process ends here, and its memory with it: looking through all of torch for garbage takes over a second
        gc.freeze()


def end(message: str) -> NoReturn:
    """Log ``message``, say it on stderr, both in one line, and exit with code 1."""
    line = " ".join(message.split())  # text from data may hold line breaks
    logging.getLogger("rewire").error("Error: %s", line)
    sys.exit(f"Error: {line}")


def allocation(threads: int) -> str:
    """What this process may use: threads, GPUs and, on a cluster, which job of which partition it is."""
    given = [f"threads {threads}", f"CUDA_VISIBLE_DEVICES {os.getenv('CUDA_VISIBLE_DEVICES', 'unset')}"]
    if "SLURM_JOB_ID" in os.environ:
        partition = os.getenv("SLURM_JOB_PARTITION", "unknown")
        given.append(f"Slurm job {os.environ['SLURM_JOB_ID']} in partition {partition}")
    return ", ".join(given)
