"""A small random model, pairs of two tasks for it, and its edge scores, as the stages before leave them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from circuits.random_models import save_random_model
from transformers import AutoModelForCausalLM

from rewire.circuit_scores import find_scores
from rewire.models import Model, load
from rewire.pair_schema import SCHEMA
from rewire.pairs import TokenPairs, read_pairs
from rewire.tables import write_table

CIRCUITS = {
    "method": "EAP-IG-inputs",
    "steps": 2,
    "grid": "left",
    "metric": "nll",
    "batch_tokens": 64,
    "fraction": 0.3,
    "keep_examples": True,
}


def pair_rows(folder: Path, examples: int, targets: int, seed: int) -> list[dict[str, Any]]:
    """8 to 10 random tokens and the model's own next ``targets``; corrupted: the last three random ones replaced."""
    transformer, draw = AutoModelForCausalLM.from_pretrained(folder), np.random.default_rng(seed)
    rows = []
    for number in range(examples):
        question = draw.integers(0, 50, 8 + number % 3)
        answer = question
        for _ in range(targets):
            logits = transformer(torch.tensor(answer)[None]).logits[0, -1]
            answer = np.append(answer, int(logits.argmax()))
        corrupted = answer.copy()
        end = len(question)
        corrupted[end - 3 : end] = (answer[end - 3 : end] + draw.integers(1, 50, 3)) % 50
        row = {"id": str(number), "clean": answer.tolist(), "corrupted": corrupted.tolist()}
        spans = {"masked_spans": [[end - 3, end]], "sentence_spans": [[0, end]], "sentence_scores": [1.0]}
        rows.append(row | spans | {"target_start": end})
    return rows


@dataclass(frozen=True)
class Stage:
    """``folder`` holds the checkpoint ``model``, ``pairs.parquet``, ``other.parquet`` and ``scores.safetensors``."""

    folder: Path
    model: Model
    pairs: TokenPairs

    def write(self, examples: int, folder: Path, **changes: Any) -> Path:
        """Pairs and scores of ``examples`` examples in ``folder``; ``changes``: of the circuits' settings."""
        write_table(folder / "pairs.parquet", pair_rows(self.folder / "model", examples, 2, seed=0), SCHEMA)
        find_scores(
            self.folder / "model",
            folder / "pairs.parquet",
            CIRCUITS | changes,
            folder / "scores.safetensors",
        )
        return folder


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("faithfulness")
    model = load(save_random_model(folder / "model", "gpt2"))
    write_table(folder / "other.parquet", pair_rows(folder / "model", 7, 3, seed=1), SCHEMA)
    Stage(folder, model, None).write(12, folder)  # type: ignore[arg-type]
    return Stage(folder, model, read_pairs(folder / "pairs.parquet")[1])


@pytest.fixture
def few(stage: Stage, tmp_path: Path) -> Callable[..., Path]:
    """A folder with pairs and scores of a given number of examples."""
    return lambda examples, **changes: stage.write(examples, tmp_path, **changes)


@pytest.fixture(scope="session")
def circuits() -> dict[str, Any]:
    """The settings that the scores were made with."""
    return CIRCUITS
