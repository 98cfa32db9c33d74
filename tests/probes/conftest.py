"""A random two-layer model with a tokenizer, a study in its words, and the other model that cross-model patches need."""

from pathlib import Path

import pytest
import torch
import yaml
from tiny_models import tiny_model, tiny_tokenizer

from rewire.models import Model, load
from rewire.probes.prompts import Prompts, encode_study
from rewire.probes.studies import read_study

SETTINGS = {
    "components": ["residual_pre", "residual_post", "attention_out", "mlp_out"],
    "heads": ["z", "q", "k", "v", "pattern"],
    "head_positions": ["last"],
    "batch_tokens": 512,
}
STUDY = {
    "slots": {
        "name, other": ["Abbott", "Barker", "Carver", "Dalton"],
        "place": ["Ashford", "Kendal"],
    },
    "examples": 4,
    "group": "{place}",
    "clean": {"seen": "{name}"},
    "corrupted": {"seen": "{other}"},
    "correct": " in",
    "incorrect": " the",
    "templates": [
        "The {seen:name} of {place:town} said",
        "In {place:town} the old {seen:name} and the {place} said",
    ],
}


def save_study(path: Path, study: object) -> Path:
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def two_folders(tmp_path_factory) -> list[Path]:
    """Two random models of one shape with one tokenizer, whose words hold the study's names as single tokens."""
    root = tmp_path_factory.mktemp("probes")
    tokenizer = tiny_tokenizer(900)
    folders = [root / name for name in ("base", "final")]
    for seed, folder in enumerate(folders):
        model = tiny_model(tokenizer, seed)
        torch.manual_seed(seed)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folders


@pytest.fixture(scope="session")
def study_file(tmp_path_factory) -> Path:
    return save_study(tmp_path_factory.mktemp("study") / "names.yaml", STUDY)


@pytest.fixture(scope="session")
def base(two_folders) -> Model:
    return load(two_folders[0], dtype=torch.float64)


@pytest.fixture(scope="session")
def final(two_folders) -> Model:
    return load(two_folders[1], dtype=torch.float64)


@pytest.fixture(scope="session")
def prompts(base, study_file) -> Prompts:
    return encode_study(read_study(study_file), base)
