"""Two small random models of one shape, and examples of unequal length."""

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rewire.models import Model, load
from rewire.pairs import TokenPairs

VOCABULARY = 30


def save_model(path: Path, seed: int, **options: int) -> Path:
    """A random GPT-2 of 2 layers, 2 heads, width 16, gains and biases away from 1 and 0."""
    torch.manual_seed(seed)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": VOCABULARY} | options
    model = GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, **sizes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def make_model():
    return save_model


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> list[Path]:
    root = tmp_path_factory.mktemp("models")
    return [save_model(root / str(seed), seed) for seed in (0, 1)]


@pytest.fixture(scope="session")
def two(folders) -> tuple[Model, Model]:
    return load(folders[0]), load(folders[1])


@pytest.fixture(scope="session")
def two_precise(folders) -> tuple[Model, Model]:
    return load(folders[0], dtype=torch.float64), load(folders[1], dtype=torch.float64)


@pytest.fixture(scope="session")
def pairs() -> TokenPairs:
    tokens = torch.randint(0, VOCABULARY, (5, 12), generator=torch.Generator().manual_seed(0))
    return TokenPairs(tokens, tokens, torch.tensor([12, 7, 9, 12, 3]))
