"""Adapters and Hub caches made for tests, and what loading says of a folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rewire.errors import InputError
from rewire.pretrained import (
    load_transformer,
)

SOURCE = Path(__file__).parent.parent / "src"


def refused(load: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        load()
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def lora(folder: Path, out: Path, base: Path | str, seed: int = 1) -> torch.nn.Module:
    """An adapter with weights that matter, saved to ``out``; returns the adapted model."""
    from peft import LoraConfig, get_peft_model

    model = load_transformer(folder)
    config = LoraConfig(r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    torch.manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(str(out))
    config_file = out / "adapter_config.json"
    config_file.write_text(
        json.dumps(json.loads(config_file.read_text()) | {"base_model_name_or_path": str(base)})
    )
    return adapted.eval()


def cached(home: Path, name: str, folder: Path) -> Path:
    """``folder`` in the layout of a Hub cache, as ``hf download`` leaves it."""
    revision = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    return Path(shutil.copytree(folder, repository / "snapshots" / revision))


def offline(home: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from rewire.pretrained import *\n{code}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
