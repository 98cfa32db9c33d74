"""Where a path or Hub id leads: variables, the home folder, adapters down to their model."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from model_folders import cached

from rewire.errors import InputError
from rewire.paths import adapter_chain, content_of, expand, find_file, model_config

ADAPTER, MODEL = "adapter_config.json", "config.json"


def folder(path: Path, **files: Any) -> Path:
    """A folder with ``adapter`` or ``model`` in its file."""
    path.mkdir()
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / {"adapter": ADAPTER, "model": MODEL}[name]).write_text(text)
    return path


def on(base: object) -> dict[str, str]:
    return {"base_model_name_or_path": str(base)}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache's home."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_variables_and_home_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("REWIRE_THERE", "a$b")
    monkeypatch.delenv("REWIRE_NOWHERE", raising=False)
    assert expand("~/n.jsonl") == "/somewhere/n.jsonl"
    assert expand("$HOME/${REWIRE_THERE}/n{v1}.jsonl") == "/somewhere/a$b/n{v1}.jsonl"
    for text in ("gpt2", "a~b", "$(touch x)", "$", "a$", "${}", "{v1}", "", "$-"):
        assert expand(text) == text
    for text in ("$REWIRE_NOWHERE/x", "a/${REWIRE_NOWHERE}", "$HOME$REWIRE_NOWHERE"):
        with pytest.raises(InputError) as error:
            expand(text)
        assert str(error.value) == f"{text}: the environment variable REWIRE_NOWHERE is not set"
    with pytest.raises(InputError, match="~nobody-at-all/x: the home folder"):
        expand("~nobody-at-all/x")


def test_an_adapter_leads_to_its_model(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(hub))
    config = {"n_layer": 3}
    model = folder(hub / "model", model=config)
    first = folder(hub / "first", adapter=on("~/model"))
    second = folder(hub / "second", adapter=on(first), model={"n_layer": 9})
    assert adapter_chain("~/second") == [str(second), str(first), str(model)]
    assert model_config(second) == model_config("~/first") == model_config(model) == config


def test_a_hub_id_is_looked_for_in_the_cache(hub: Path) -> None:
    cached(hub, "someone/model", folder(hub / "model", model={"n_layer": 3}))
    cached(hub, "someone/adapter", folder(hub / "adapter", adapter=on("someone/model")))
    mine = folder(hub / "mine", adapter=on("someone/adapter"))
    assert adapter_chain(mine) == [str(mine), "someone/adapter", "someone/model"]
    assert model_config(mine) == model_config("someone/adapter") == {"n_layer": 3}
    assert find_file("someone/model", ADAPTER) is None
    for name in ("someone/else", "a b", "../x", "-x", "$(touch x)", ""):
        assert model_config(name) == {}


def test_a_whole_model_in_an_adapter_s_place_is_the_model(tmp_path: Path) -> None:
    base, whole = (
        folder(tmp_path / "base", model={"n_layer": 3}),
        folder(tmp_path / "whole", model={"n_layer": 4}),
    )
    adapter = folder(tmp_path / "adapter", adapter=on(base))
    assert model_config(base, whole) == {"n_layer": 4}
    assert model_config(base, adapter) == model_config(base, "someone/adapter") == {"n_layer": 3}


@pytest.mark.parametrize(
    "content", [{}, [], "{", on(""), on("$REWIRE_NOWHERE"), {"base_model_name_or_path": 3}]
)
def test_a_chain_that_leads_nowhere_ends(content: Any, tmp_path: Path) -> None:
    """The job itself says what is wrong."""
    mine = folder(tmp_path / "mine", adapter=content)
    assert adapter_chain(mine) == [str(mine)] and model_config(mine) == {}


def test_a_chain_that_leads_back_ends(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", adapter=on(tmp_path / "two"))
    two = folder(tmp_path / "two", adapter=on(one))
    assert adapter_chain(one) == [str(one), str(two)]
    assert content_of(str(one), MODEL) == {}
