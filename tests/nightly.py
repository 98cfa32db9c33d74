"""What is too long for every day: REWIRE_NIGHTLY=1 runs all of it."""

import os

NIGHTLY = os.environ.get("REWIRE_NIGHTLY") == "1"


def tries(usual: int, nightly: int) -> int:
    """How many inputs to try."""
    return nightly if NIGHTLY else usual
