"""A first task's adapter that is broken is named, whatever the second stage does with it."""

import shutil
from pathlib import Path

import pytest
from model_folders import lora
from sequential.worlds import section

from rewire.errors import InputError
from rewire.pretrained import ADAPTER_WEIGHTS
from rewire.sequential.adapters import prepared

HARM = {
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "garbled": lambda path: path.write_bytes(bytes(range(200, 136, -1)) + path.read_bytes()[64:]),
    "lost": lambda path: path.unlink(),
    "unreadable": lambda path: (path.unlink(), path.symlink_to(path.name)),
}


@pytest.fixture(scope="module")
def first(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "adapter"
    lora(tiny_model_folder, folder, tiny_model_folder)
    return folder


@pytest.mark.parametrize("adapters", ["continued", "stacked", "merged"])
@pytest.mark.parametrize("harm", HARM)
def test_a_broken_first_adapter_is_named_in_one_line(
    first: Path, tmp_path: Path, adapters: str, harm: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(first, broken)
    prepared(broken, section(), adapters)
    HARM[harm](broken / ADAPTER_WEIGHTS)
    with pytest.raises(InputError) as refused:
        prepared(broken, section(), adapters)
    message = str(refused.value)
    assert str(broken) in message and ADAPTER_WEIGHTS in message and "\n" not in message
