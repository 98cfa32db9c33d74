"""Configs with something wrong anywhere in them: what every rules file shares refuses them in one line, or takes them."""

import copy
import math
import re
import runpy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.utils
import yaml
from circuits.damage import damaged_bytes, damaged_content
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightly import tries
from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import LocalSourceFile
from snakemake.utils import update_config

ROOT = Path(__file__).parent.parent.parent
COMMON = str(ROOT / "workflow/rules/common.smk")
PRESETS = ("smoke", "adder", "own-files", "bakeoff", "gpt2-cnn_dailymail")
VALUES = [
    None,
    True,
    0,
    -1,
    3,
    10**20,
    0.5,
    10.0,
    20.0,
    2**32,
    -1.0,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    "$REWIRE_NOWHERE/x",
    "~/n{v1}.jsonl",
    "",
    "all",
    "mask",
    "a/b",
    "text",
    "$(x)\n",
]
VALUES += [
    [],
    [[]],
    [None],
    [10.0],
    [0, 0],
    [0.5, math.nan],
    ["mask", "mask"],
    {},
    {"a": None},
    {1: 2},
    ["small"],
    [{"model": "small"}],
]
VALUES += [[{"model": "small", "dataset": "newswire"}] * 2, {"base": "a/b"}, {"lora-standard": "a/b"}]


def merged(preset: str) -> dict[str, Any]:
    """The config as Snakemake makes it of the default, the claims and a preset."""
    config: dict[str, Any] = {}
    for name in ("config", "claims", preset):
        update_config(config, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))
    return config


CONFIGS = {preset: merged(preset) for preset in PRESETS}


@pytest.fixture(scope="module", autouse=True)
def schema_read_once():
    """The schema is parsed once, not once an input: it takes longer than all the rest."""
    read = lru_cache(snakemake.utils._load_configfile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            snakemake.utils,
            "_load_configfile",
            lambda source, filetype: copy.deepcopy(read(source, filetype)),
        )
        yield


def taken(config: dict[str, Any]) -> dict[str, Any] | None:
    """What the rules files share for ``config``, None if it is refused."""
    workflow = SimpleNamespace(
        basedir=str(ROOT),
        modifier=SimpleNamespace(skip_validation=False),
        current_basedir=LocalSourceFile(str(ROOT / "workflow/rules")),
        sourcecache=SimpleNamespace(open=lambda file: file.get_path_or_uri(secret_free=True)),
    )
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", "")  # which grows with every reading
            shared = runpy.run_path(COMMON, {"config": config, "workflow": workflow})
    except WorkflowError as error:
        message = str(error)
        assert message.startswith("config: "), message
        assert len(message.splitlines()) == 1 and len(message) < 800, message
        return None
    return shared


def check_names(shared: dict[str, Any]) -> None:
    """What is taken hangs together, and is taken again as it has become."""
    config = shared["config"]
    check_numbers(config)
    for model, dataset in shared["RUNS"]:
        assert model in config["models"] and dataset in config["datasets"]
        steps = shared["checkpoint_steps"](model)
        assert list(steps)[0] == "base" and sorted(steps.values()) == list(steps.values())
    assert config["circuits"]["corruption"] in shared["CORRUPTIONS"]
    assert shared["STRATEGIES"] and all(shared["seeds_of"](name) for name in shared["STRATEGIES"])
    assert taken(copy.deepcopy(config)) is not None


def test_every_preset_is_taken() -> None:
    for preset in PRESETS:
        shared = taken(copy.deepcopy(CONFIGS[preset]))
        assert shared is not None, preset
        check_names(shared)


def with_floats(value: Any) -> Any:
    """The same numbers, every integer as a float."""
    if isinstance(value, dict):
        return {key: with_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_floats(part) for part in value]
    return float(value) if type(value) is int else value


def numbers(value: Any, key: str = "") -> Iterator[tuple[str, int | float]]:
    """Every number with the names that lead to it."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(part, f"{key}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


# numbers of any kind, which stay as they are
OF_ANY_KIND = re.compile(
    r"architecture|options|weight_decay|learning_rate|dropout|alpha|fraction|critical_layers\.\w|rate$|ratio|rule|learned"
)


@pytest.mark.parametrize("preset", PRESETS)
def test_whole_floats_are_the_integers_that_they_stand_for(preset: str) -> None:
    """All that jobs depend on is the same, to the letter."""
    integers, floats = taken(copy.deepcopy(CONFIGS[preset])), taken(with_floats(CONFIGS[preset]))
    assert integers is not None and floats is not None
    given, read = dict(numbers(integers["config"])), dict(numbers(floats["config"]))
    assert given == read and len(given) > 100
    differing = [key for key in given if repr(given[key]) != repr(read[key])]
    assert [key for key in differing if not OF_ANY_KIND.search(key)] == []
    assert floats["STEP_OF"] == integers["STEP_OF"] and floats["SEEDS"] == integers["SEEDS"]


def check_numbers(config: dict[str, Any]) -> None:
    """Of a config that is taken: finite, seeds as numpy takes them, and integers are integers."""
    for key, value in numbers(config):
        assert math.isfinite(value), key
        if re.search(r"\.seeds?(\.\d+)?$", key):
            assert isinstance(value, int) and 0 <= value < 2**32, key
        if re.search(r"steps(\.\d+)?$|batch_size|examples|batch_tokens", key):
            assert isinstance(value, int), key


fuzzed = settings(max_examples=tries(150, 3000), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@fuzzed
@given(data=st.data(), preset=st.sampled_from(PRESETS), times=st.integers(1, 3))
def test_a_config_with_anything_in_it_is_taken_or_refused(
    data: st.DataObject, preset: str, times: int
) -> None:
    config: Any = CONFIGS[preset]
    for _ in range(times):
        config = data.draw(damaged_content(config, st.sampled_from(VALUES)))
    shared = taken(config)
    if shared is not None:
        check_names(shared)


@fuzzed
@given(data=st.data(), preset=st.sampled_from(PRESETS))
def test_a_preset_with_damaged_text_is_taken_or_refused(data: st.DataObject, preset: str) -> None:
    """Of those texts that are still YAML: Snakemake itself refuses the others."""
    text = (ROOT / f"config/{preset}.yaml").read_bytes()
    try:
        content = yaml.safe_load(data.draw(damaged_bytes(text)))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return
    if not isinstance(content, dict):
        return
    config = copy.deepcopy(CONFIGS["smoke"])
    try:
        update_config(config, content)
    except (AttributeError, TypeError):  # Snakemake merges a mapping into what is none
        return
    shared = taken(config)
    if shared is not None:
        check_names(shared)


@settings(max_examples=tries(5, 200), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_taken_plans_its_jobs_or_says_why_not(smoke, data: st.DataObject) -> None:
    config = data.draw(damaged_content(CONFIGS["smoke"], st.sampled_from(VALUES)))
    if taken(copy.deepcopy(config)) is None:
        return
    path = smoke.folder / "config/fuzzed.yaml"
    path.write_text(yaml.safe_dump(config))
    answer = smoke.ask((), "config/fuzzed.yaml")
    if "error" in answer:
        assert answer["error"].startswith(("WorkflowError: ", "MissingInputException")), answer["error"]
