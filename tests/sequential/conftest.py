"""One tiny base and one measured world that tests share."""

from pathlib import Path

import pytest
from sequential.worlds import ENTRY, World, section


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rewire.sequential.base import pretrain_base

    folder = tmp_path_factory.mktemp("sequential-base")
    pretrain_base(
        ENTRY, ["add", "max"], section(), folder / "base", folder / "table.parquet", folder / "work"
    )
    return folder / "base"


@pytest.fixture(scope="session")
def world(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    variants = {
        "kept": {"adapters": "continued", "rate": 1},
        "stacked": {"adapters": "stacked", "rate": 0.1},
        "prior": {"adapters": "merged", "rate": 0.1, "pairs": [["add", "max"]]},
        "inside": {"adapters": "merged", "rate": 1, "circuit": "inside", "pairs": [["add", "max"]]},
        "outside": {"adapters": "merged", "rate": 1, "circuit": "outside", "pairs": [["add", "max"]]},
        "random": {
            "adapters": "merged",
            "rate": 1,
            "circuit": "random",
            "seed": 3,
            "pairs": [["add", "max"]],
        },
    }
    settings = section(variants=variants, multi=[["add", "max"]])
    return World(tmp_path_factory.mktemp("sequential"), tiny_base, settings)
