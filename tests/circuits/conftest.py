"""Golden models (random GPT-2s with what the published EAP-IG library computes on them)."""

import json
from pathlib import Path

import pytest
from circuits.random_models import ARCHITECTURES, save_random_model
from safetensors.torch import load_file

from rewire.models import load
from rewire.pairs import TokenPairs

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="session")
def golden() -> dict[str, Path]:
    return {name: GOLDEN / name for name in ("tiny-a", "tiny-b")}


class Case:
    """One golden model: the model, its pairs, and the published library's numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = load(folder / "model")
        self.tensors = load_file(folder / "golden.safetensors")
        self.described = json.loads((folder / "golden.json").read_text())
        t = self.tensors
        self.pairs = TokenPairs(
            t["clean"], t["corrupted"], t["lengths"], self.described["target_tokens"], t["wrong_token"]
        )

    def names(self, prefix: str) -> list[str]:
        """What follows ``prefix`` in the tensor names that start with it."""
        return [name.removeprefix(prefix) for name in self.tensors if name.startswith(prefix)]


@pytest.fixture(scope="session", params=["tiny-a", "tiny-b"])
def case(request, golden) -> Case:
    return Case(golden[request.param])


@pytest.fixture(scope="session")
def random_models(tmp_path_factory) -> dict[str, Path]:
    """Architecture -> folder of a small random model."""
    return {kind: save_random_model(tmp_path_factory.mktemp(kind), kind) for kind in ARCHITECTURES}
