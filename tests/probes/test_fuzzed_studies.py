"""Files of studies, damaged at random or full of odd values: read right, or refused in one line that names them."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from circuits.damage import damaged_bytes, damaged_content
from hypothesis import given
from hypothesis import strategies as st
from test_fuzzed_readers import PLAIN, check_message, fuzzed

from rewire.errors import InputError
from rewire.probes.studies import SHARED, PromptPair, read_study

PLAIN_PAIR = {"clean": "Ann said", "corrupted": "Bob said", "correct": " Ann", "incorrect": " Bob"}
STUDIES: list[dict[str, Any]] = [
    {
        "about": "a name",
        "slots": {
            "name, other": ["Ann", "Bob", "Eve"],
            "verb": [{"now": "is", "then": "was"}, {"now": "has", "then": "had"}],
        },
        "examples": 3,
        "seed": 0,
        "group": "b",
        "clean": {"seen": "{name}"},
        "corrupted": {"seen": "{other}"},
        "correct": " {name}",
        "incorrect": " {other}",
        "templates": ["The {seen:name} said", {"group": "a", "text": "Here {verb.now} {seen:name} near"}],
    },
    {
        "encoding": "ids",
        "pairs": [{"clean": "1 2", "corrupted": "1 3", "correct": 2, "incorrect": 3, "positions": {"a": 1}}],
    },
    {"pairs": [PLAIN_PAIR | {"group": "f"}, PLAIN_PAIR | {"id": "x", "group": "g"}]},
]
ODD = [
    *PLAIN,
    *SHARED,
    "{",
    "}",
    "{}",
    "{0}",
    "{name",
    "{name.now}",
    "{name:a}{name:a}",
    "{name!r:>9}",
    "{a[0]}",
]
ODD += [
    {1: "a", "b": 2},
    {"a": {}},
    {None: None, "x": "{name}"},
    ["x"] * 40,
    "\x00\x1b[2J\u202e",
    "🇬🇷" * 300,
    -5,
]
# what YAML itself makes trouble of
LINES = [
    "about: 2024-99-99\n",
    "about: &a [*a]\n",
    "about: !!python/name:os.system\n",
    "about: \xa0\n",
    "? [a]\n: b\n",
]
LINES += [
    "about: " + "[" * 400 + "\n",
    "seed: 1:99\n",
    'about: "\\ud800"\n',
    "<<: [1]\n",
    "about: !!binary a\n",
    "---\n",
]


def read(path: Path) -> list[PromptPair] | None:
    """The pairs of a study, None if it is refused."""
    try:
        study = read_study(path)
    except InputError as error:
        check_message(error, path)
        return None
    assert study.pairs
    for pair in study.pairs:
        texts = (study.about, pair.id, pair.group, pair.clean, pair.corrupted, pair.correct, pair.incorrect)
        assert all(isinstance(text, str) and text.encode() is not None for text in texts)
        assert all(
            0 <= end <= len(text)
            for ends in pair.ends.values()
            for end, text in zip(ends, texts[3:5], strict=True)
        )
        assert all(isinstance(at, int) for at in pair.positions.values())
    return study.pairs


@pytest.mark.parametrize("study", STUDIES)
def test_the_studies_are_read_before_they_are_damaged(study, tmp_path):
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(study))
    assert read(tmp_path / "s.yaml")


@fuzzed(150, 2500)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = yaml.safe_dump(data.draw(st.sampled_from(STUDIES)), allow_unicode=True)
    path.write_bytes(data.draw(damaged_bytes(text.encode())))
    read(path)


@fuzzed(150, 2500)
@given(data=st.data())
def test_values_of_any_kind_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    study = data.draw(damaged_content(data.draw(st.sampled_from(STUDIES)), st.sampled_from(ODD)))
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    read(path)


@fuzzed(40, 500)
@given(data=st.data())
def test_lines_that_yaml_stumbles_on_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    study = yaml.safe_dump(
        {key: value for key, value in data.draw(st.sampled_from(STUDIES)).items() if key != "about"}
    )
    line = data.draw(st.sampled_from(LINES))
    path.write_text(line + study if data.draw(st.booleans()) else study + line, encoding="utf-8")
    read(path)


@fuzzed(60, 700)
@given(data=st.data())
def test_damaged_tables_are_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*PLAIN_PAIR, "group"])
        writer.writeheader()
        writer.writerows([PLAIN_PAIR, PLAIN_PAIR | {"group": "a, b"}])
    path.write_bytes(data.draw(damaged_bytes(path.read_bytes())))
    read(path)
