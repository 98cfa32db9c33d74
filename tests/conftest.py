"""What every test may ask for: the outside material, and one tiny model on disk."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before any Hugging Face library is imported: no test may use the network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads only wait for each other


@pytest.fixture(scope="session")
def material() -> Path:
    """Other people's models, tokenizers and data, which are not copied into the project."""
    folder = os.environ.get("REWIRE_MATERIAL")
    if not folder:
        pytest.skip("REWIRE_MATERIAL is not set")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer GPT-2 and a byte-level BPE in transformers' format. Read only: tests share it."""
    from tiny_models import tiny_model, tiny_tokenizer

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
