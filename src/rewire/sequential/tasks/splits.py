"""Which split a prompt belongs to: a matter of its words and the seed alone, whatever task asks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

SPLITS = ("train", "validation", "test")


def split_of(prompt: str, rows: Mapping[str, int], seed: int) -> str:
    """The split of ``prompt``, in proportion to ``rows`` (train, validation, test).

    From a hash of the prompt's words in alphabetical order and the seed. So a prompt that two tasks ask (AddSub asks Add's) is
    in the same split of both, and a second task never trains on what the first is tested on; nor does 5 + 3 train a model
    that 3 + 5 tests. This holds for tables of the same seed and the same proportions.
    """
    words = " ".join(sorted(prompt.split()))
    drawn = int.from_bytes(hashlib.sha256(f"{seed} {words}".encode()).digest()[:8]) / 2**64
    total = sum(rows.values())
    share = 0.0
    for name in SPLITS:
        share += rows[name] / total
        if drawn < share:
            return name
    return SPLITS[0]
