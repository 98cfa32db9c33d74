"""Fixtures of all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def material() -> Path:
    """Other people's models and data, which are not part of this repository."""
    folder = os.environ.get("REWIRE_MATERIAL")
    if not folder:
        pytest.skip("REWIRE_MATERIAL is not set: other people's models and data are not in this repository")
    return Path(folder)
