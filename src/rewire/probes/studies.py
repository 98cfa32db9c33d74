"""Studies: prompt pairs as data. A YAML file of templates and slots, or plain pairs in YAML or CSV.

Format and an example: docs/definitions.md, "Probes". Nothing here knows a model; ``prompts`` turns pairs into tokens.
"""

from __future__ import annotations

import csv
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from string import Formatter
from typing import Any

import yaml

from rewire.errors import InputError

ENCODINGS = (
    "text",
    "pieces",
    "ids",
)  # of prompts: the tokenizer's, or token strings or ids with spaces between
ANSWERS = ("correct", "incorrect")
SIDES = ("clean", "corrupted")
SHARED = ("group", *SIDES, *ANSWERS)  # keys of a study that a template may state for itself
KEYS = {"about", "encoding", "slots", "examples", "seed", "templates", "pairs", *SHARED}
ALL = "all"  # the group of all prompts, and all positions together
FIRST, LAST = "difference", "last"  # labels that every prompt has: the first token that differs, and the last
MOST = 10_000  # pairs of a study that does not say how many examples to draw

Slots = Mapping[str, Any]  # slot -> text, or part -> text


@dataclass(frozen=True)
class PromptPair:
    """Texts of one example. ``group``: what it is averaged with; ``template``: which one it is of, from 1.

    ``ends``: label -> one past its last character in the clean and in the corrupted text; ``positions``: label -> token.
    """

    id: str
    group: str
    template: int
    clean: str
    corrupted: str
    correct: str
    incorrect: str
    ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """``source``: the file, named in errors; ``encoding``: one of ENCODINGS; ``about``: a line for figures."""

    source: str
    encoding: str
    pairs: list[PromptPair]
    about: str = ""

    @property
    def labels(self) -> list[str]:
        """The positions that pairs name, in order of appearance."""
        return list(dict.fromkeys(label for pair in self.pairs for label in (*pair.ends, *pair.positions)))


def read_study(path: str | Path) -> Study:
    """The prompt pairs of a study: ``.csv`` with a header, or YAML.

    Errors: InputError that names the file and the template, slot, row or key at fault.
    """
    if Path(path).suffix == ".csv":
        study = Study(str(path), "text", read_csv(path))
        check_names(study)
        return study
    try:
        written = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (
        OSError,
        ValueError,
        RecursionError,
        yaml.YAMLError,
    ) as error:  # ValueError: a date that is none, say
        raise InputError(f"{path}: not a readable YAML file: {' '.join(str(error).split())[:200]}") from error
    if isinstance(written, list):
        written = {"pairs": written}
    if not isinstance(written, dict):
        raise InputError(f"{path}: a study is a mapping with templates or pairs, or a list of pairs")
    check_keys(str(path), written, KEYS)
    encoding = written.get("encoding", "text")
    if encoding not in ENCODINGS:
        raise InputError(f"{path}: encoding {short(encoding)} is not one of {', '.join(ENCODINGS)}")
    pairs = [
        *plain_pairs(f"{path}: pair", written.get("pairs") or []),
        *from_templates(str(path), written),
    ]
    if not pairs:
        raise InputError(f"{path}: the study is empty: it has neither templates nor pairs")
    study = Study(str(path), encoding, pairs, as_text(f"{path}: about", written.get("about", "")))
    check_names(study)
    return study


def check_names(study: Study) -> None:
    """InputError for a label, or a group beside others, of the name that stands for all positions and all prompts."""
    if ALL in study.labels:
        raise InputError(
            f"{study.source}: a position is labelled {ALL!r}, which means all positions; name it otherwise"
        )
    groups = [pair.group for pair in study.pairs]
    if ALL in groups and len(set(groups)) > 1:
        raise InputError(
            f"{study.source}: pair {study.pairs[groups.index(ALL)].id}: group {ALL!r} beside others means all prompts; "
            "give it another, or none to any"
        )


def read_csv(path: str | Path) -> list[PromptPair]:
    """Pairs of a table with the columns clean, corrupted, correct, incorrect, and maybe id and group."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file: {error}") from error
    if not rows:
        raise InputError(f"{path}: the study is empty: it has no rows")
    return plain_pairs(f"{path}: row", rows)


def plain_pairs(where: str, rows: Any) -> list[PromptPair]:
    """Pairs that are written out: clean, corrupted, correct, incorrect, maybe id, group and positions (label -> token)."""
    if not isinstance(rows, list):
        raise InputError(f"{where}s: a {type(rows).__name__}, expected a list")
    pairs = []
    for number, row in enumerate(rows, start=1):
        here = f"{where} {number}"
        if not isinstance(row, dict):
            raise InputError(f"{here}: expected a mapping with {', '.join((*SIDES, *ANSWERS))}")
        check_keys(here, row, {"id", "group", "positions", *SIDES, *ANSWERS})
        clean, corrupted, correct, incorrect = (
            as_text(f"{here}: {key}", row.get(key)) for key in (*SIDES, *ANSWERS)
        )
        positions = row.get("positions") or {}
        if not isinstance(positions, dict) or not all(
            isinstance(label, str) and label.strip() and type(at) is int for label, at in positions.items()
        ):
            raise InputError(
                f"{here}: positions is {short(positions)}, expected a mapping of labels to token numbers"
            )
        name, group = (
            as_text(f"{here}: {key}", row.get(key) or default)
            for key, default in (("id", number), ("group", ALL))
        )
        pair = PromptPair(name, group, 0, clean, corrupted, correct, incorrect, positions=positions)
        pairs.append(pair)
    return pairs


def from_templates(source: str, written: Mapping[str, Any]) -> list[PromptPair]:
    """Every template with every filling of its slots, or with ``examples`` drawn ones; of a template's equal pairs the first."""
    templates = written.get("templates") or []
    if not isinstance(templates, list):
        raise InputError(f"{source}: templates is a {type(templates).__name__}, expected a list")
    slots = read_slots(source, written.get("slots") or {})
    seed = written.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"{source}: seed is {short(seed)}, expected a whole number from 0 to {2**32 - 1}")
    pairs: list[PromptPair] = []
    for number, template in enumerate(templates, start=1):
        here = f"{source}: template {number}"
        own = {"text": template} if isinstance(template, str) else template
        if not isinstance(own, dict):
            raise InputError(f"{here}: expected a text, or a mapping with text")
        check_keys(here, own, {"text", *SHARED})
        whole = {key: written[key] for key in SHARED if key in written} | own
        used = used_slots(here, whole, slots)
        chosen = slots_used(used, slots)
        fillings = drawn_fillings(here, chosen, written.get("examples"), seed, number)
        found: dict[tuple[str, ...], PromptPair] = {}
        for count, filling in enumerate(fillings, start=1):
            pair = fill_pair(here, f"{number}-{count:03d}", number, whole, filling)
            found.setdefault((pair.clean, pair.corrupted, pair.correct, pair.incorrect), pair)
        pairs += found.values()
    return pairs


def slots_used(
    used: set[str], slots: Mapping[tuple[str, ...], list[Any]]
) -> dict[tuple[str, ...], list[Any]]:
    """The lists with the names that a template uses: other names of a list would only make the same pairs again."""
    kept = {tuple(name for name in names if name in used): values for names, values in slots.items()}
    return {names: values for names, values in kept.items() if names}


def read_slots(source: str, written: Any) -> dict[tuple[str, ...], list[Any]]:
    """Names of slots that take different values of one list -> that list. A key ``a, b`` names two such slots."""
    if not isinstance(written, dict):
        raise InputError(f"{source}: slots is a {type(written).__name__}, expected a mapping")
    slots: dict[tuple[str, ...], list[Any]] = {}
    for key, values in written.items():
        names = tuple(name.strip() for name in str(key).split(","))
        if not isinstance(values, list) or len(values) < len(names):
            raise InputError(f"{source}: slot {short(key)} needs a list of at least {len(names)} values")
        for value in values:
            if not isinstance(value, dict):
                as_text(f"{source}: slot {short(key)}", value)
        slots[names] = values
    return slots


def used_slots(here: str, template: Mapping[str, Any], slots: Mapping[tuple[str, ...], Any]) -> set[str]:
    """The slots that a template and what it shares with the others mention. Errors: InputError for an unknown one."""
    fills = {side: template.get(side) or {} for side in SIDES}
    for side, fill in fills.items():
        if not isinstance(fill, dict):
            raise InputError(
                f"{here}: {side} is a {type(fill).__name__}, expected a mapping of slots to texts"
            )
    if set(fills["clean"]) != set(fills["corrupted"]):
        filled = [short(sorted(map(str, fills[side]))) for side in SIDES]
        raise InputError(f"{here}: clean fills the slots {filled[0]}, corrupted {filled[1]}")
    drawn = {name for names in slots for name in names}
    texts = [template.get(key) for key in ("text", "group", *ANSWERS)]
    named = {name for text in texts if text is not None for name in fields(here, text)} - set(fills["clean"])
    named |= {name for fill in fills.values() for text in fill.values() for name in fields(here, text)}
    for name in sorted(named - drawn):
        known = sorted(map(str, drawn | set(fills["clean"])))
        raise InputError(f"{here}: unknown slot {short(name)}; there are {', '.join(known) or 'none'}")
    return named


def fields(here: str, text: Any) -> Iterator[str]:
    """Names of the slots in ``text``, without their parts."""
    try:
        for _, name, _, _ in Formatter().parse(as_text(here, text)):
            if name is not None:
                yield name.split(".")[0]
    except ValueError as error:
        raise InputError(f"{here}: {short(text)}: {error}") from error


def drawn_fillings(
    here: str, slots: Mapping[tuple[str, ...], list[Any]], examples: Any, seed: int, number: int
) -> Iterator[dict[str, Any]]:
    """Slot -> value: every filling in order, or ``examples`` different ones drawn at random."""
    count = math.prod(math.perm(len(values), len(names)) for names, values in slots.items())
    if examples is None:
        if count > MOST:
            raise InputError(f"{here}: {count} fillings of its slots; say how many to draw (examples)")
        orders = [itertools.permutations(values, len(names)) for names, values in slots.items()]
        for drawn in itertools.product(*orders):
            yield joined(slots, drawn)
        return
    if type(examples) is not int or examples < 1:
        raise InputError(f"{here}: examples is {short(examples)}, expected a whole number from 1")
    source, seen = random.Random(f"{seed} {number}"), set[Any]()
    while len(seen) < min(examples, count):
        places = tuple(tuple(source.sample(range(len(v)), len(names))) for names, v in slots.items())
        if places not in seen:
            seen.add(places)
            values = ([v[i] for i in chosen] for v, chosen in zip(slots.values(), places, strict=True))
            yield joined(slots, values)


def joined(slots: Mapping[tuple[str, ...], Any], drawn: Any) -> dict[str, Any]:
    """Slot -> value, of the values drawn for each list."""
    return {
        name: value
        for names, values in zip(slots, drawn, strict=True)
        for name, value in zip(names, values, strict=True)
    }


def fill_pair(here: str, name: str, number: int, template: Mapping[str, Any], slots: Slots) -> PromptPair:
    """One template with one filling."""
    for key in ("text", *ANSWERS):
        if key not in template:
            raise InputError(f"{here}: has no {key}")
    texts, ends = {}, {}
    for side in SIDES:
        fill = template.get(side) or {}
        values = {**slots, **{slot: fill_text(here, text, slots)[0] for slot, text in fill.items()}}
        texts[side], ends[side] = fill_text(here, template["text"], values)
    correct, incorrect = (fill_text(here, template[key], slots)[0] for key in ANSWERS)
    group = fill_text(here, template.get("group", ALL), slots)[0]
    both = {label: (end, ends["corrupted"][label]) for label, end in ends["clean"].items()}
    return PromptPair(name, group, number, texts["clean"], texts["corrupted"], correct, incorrect, ends=both)


def fill_text(here: str, text: Any, slots: Slots) -> tuple[str, dict[str, int]]:
    """``text`` with its slots filled, ``{slot}``, ``{slot.part}`` or ``{slot:label}``; label -> where its slot ends."""
    out, ends = "", {}
    for literal, name, label, _ in Formatter().parse(as_text(here, text)):
        out += literal
        if name is None:
            continue
        slot, *parts = name.split(".")
        value: Any = slots.get(slot)
        for part in parts:
            if not isinstance(value, Mapping) or part not in value:
                raise InputError(f"{here}: slot {short(slot)} has no part {short(part)}")
            value = value[part]
        out += as_text(f"{here}: slot {short(name)}", value)
        if label:
            if label in ends:
                raise InputError(f"{here}: two positions are labelled {short(label)}")
            ends[label] = len(out)
    return out, ends


def as_text(where: str, value: Any) -> str:
    """A text or a whole number as text. Errors: InputError for anything else, such as an unquoted yes or a mapping, and
    for half of a character that UTF-16 writes as two, which is no text.
    """
    if isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value):
        return value
    if type(value) is int:
        return str(value)
    raise InputError(
        f"{where} is {short(value)}, expected a text (in quotes where YAML reads something else)"
    )


def check_keys(where: str, written: Mapping[Any, Any], known: Sequence[str] | set[str]) -> None:
    """InputError for a key that is not known."""
    for key in written:
        if key not in known:
            raise InputError(f"{where}: unknown key {short(key)}; known are {', '.join(sorted(known))}")
