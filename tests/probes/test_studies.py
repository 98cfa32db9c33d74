"""Studies from files: what templates and slots become, and what each mistake says."""

import pytest
import yaml

from rewire.errors import InputError
from rewire.probes.studies import read_study

STUDY = {
    "slots": {
        "opening": [
            {"subject": "We", "short": "'re", "long": " are"},
            {"subject": "She", "short": "'s", "long": " is"},
        ],
        "one, other": ["Ann", "Bob", "Eve"],
    },
    "group": "{opening.short}",
    "clean": {"verb": "{opening.short}"},
    "corrupted": {"verb": "{opening.long}"},
    "correct": " {one}",
    "incorrect": " {other}",
    "templates": ["{opening.subject}{verb:contraction} with {one:one} and {other}, said"],
}


@pytest.fixture
def read(tmp_path):
    def read(study, name="study.yaml"):
        path = tmp_path / name
        path.write_text(study if isinstance(study, str) else yaml.safe_dump(study, sort_keys=False))
        return read_study(path)

    return read


def test_every_filling_of_a_template(read):
    study = read(STUDY)
    assert len(study.pairs) == 2 * 6 and len({pair.id for pair in study.pairs}) == 12
    assert study.labels == ["contraction", "one"] and study.encoding == "text"
    pair = study.pairs[0]
    assert (pair.clean, pair.corrupted) == ("We're with Ann and Bob, said", "We are with Ann and Bob, said")
    assert (pair.correct, pair.incorrect, pair.group, pair.template) == (" Ann", " Bob", "'re", 1)
    for side, ends in zip((pair.clean, pair.corrupted), zip(*pair.ends.values(), strict=True), strict=True):
        assert side[: ends[0]].endswith(("'re", " are")) and side[: ends[1]].endswith("Ann")
    assert all(pair.correct != pair.incorrect for pair in study.pairs)  # two slots of one list differ


def test_drawn_fillings_are_distinct_and_repeat(read):
    drawn = [read(STUDY | {"examples": 5, "seed": seed}).pairs for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and len({pair.clean + pair.correct for pair in drawn[0]}) == 5
    assert len(read(STUDY | {"examples": 99}).pairs) == 12  # there are no more


def test_no_pair_comes_twice_from_one_template(read):
    """`other` is not said: three fillings, not six; equal values of a slot make equal pairs; templates may be alike."""
    shared = {
        "clean": {"verb": "went"},
        "corrupted": {"verb": "came"},
        "correct": " home",
        "incorrect": " in",
    }
    slots = {"one, other": ["Ann", "Bob", "Eve"]}
    study = {"slots": slots, "templates": ["{one} {verb}"], **shared}
    for examples in ({}, {"examples": 5}):
        pairs = read(study | examples).pairs
        assert sorted(pair.clean for pair in pairs) == ["Ann went", "Bob went", "Eve went"]
    assert len(read(study | {"examples": 2}).pairs) == 2
    twice = study | {"slots": {"one": ["Ann", "Bob", "Ann"]}}
    assert [(pair.clean, pair.id) for pair in read(twice).pairs] == [
        ("Ann went", "1-001"),
        ("Bob went", "1-002"),
    ]
    assert len(read(twice | {"templates": ["{one} {verb}"] * 2}).pairs) == 4


def test_a_template_may_state_what_the_study_leaves_open(read):
    own = {
        "group": "mine",
        "text": "{verb} {one}",
        "correct": "{one}",
        "clean": {"verb": "go"},
        "corrupted": {"verb": 5},
    }
    first = read(STUDY | {"templates": [own, *STUDY["templates"]]}).pairs[0]
    assert (first.group, first.clean, first.corrupted, first.correct) == ("mine", "go Ann", "5 Ann", "Ann")


def test_plain_pairs_in_yaml_and_csv(read):
    rows = [{"clean": "a b", "corrupted": "a c", "correct": "d", "incorrect": "e", "positions": {"b": 1}}]
    assert read(rows).pairs[0].positions == {"b": 1}
    assert read({"encoding": "ids", "pairs": rows}).encoding == "ids"
    pair = read("id,clean,corrupted,correct,incorrect\nx,a b,a c, d, e\n", "pairs.csv").pairs[0]
    assert (pair.id, pair.group, pair.clean, pair.correct) == ("x", "all", "a b", " d")


def test_a_csv_of_a_spreadsheet(read):
    """With the byte order mark that spreadsheets write; `all` may be the only group."""
    pairs = read(
        "\ufeffclean,corrupted,correct,incorrect,group\na b,a c, d, e,all\nb,c, d, e,\n", "pairs.csv"
    ).pairs
    assert [(pair.clean, pair.group) for pair in pairs] == [("a b", "all"), ("b", "all")]


PAIR = {"clean": "a b c", "corrupted": "a c c", "correct": "d", "incorrect": "e"}


def without(*keys):
    return {key: value for key, value in STUDY.items() if key not in keys}


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({}, "the study is empty: it has neither templates nor pairs"),
        ({"templates": []}, "the study is empty"),
        ("", "a study is a mapping with templates or pairs"),
        ("a: [", "not a readable YAML file"),
        (STUDY | {"slot": {}}, "unknown key 'slot'; known are about, clean"),
        (STUDY | {"encoding": "bytes"}, "encoding 'bytes' is not one of text, pieces, ids"),
        (
            STUDY | {"templates": ["{who}{verb} here"]},
            r"template 1: unknown slot 'who'; there are one, opening, other, verb",
        ),
        (STUDY | {"correct": "{opening.tall}"}, "template 1: slot 'opening' has no part 'tall'"),
        (STUDY | {"templates": ["{opening}{verb}"]}, "slot 'opening' is {.*expected a text"),
        (STUDY | {"templates": ["{one:x} {other:x}{verb}"]}, "two positions are labelled 'x'"),
        (STUDY | {"templates": ["{one"]}, "template 1: '{one': expected"),
        (STUDY | {"corrupted": {}}, r"clean fills the slots \['verb'\], corrupted \[\]"),
        (without("correct"), "template 1: has no correct"),
        (STUDY | {"slots": {"one, other": ["Ann"]}}, "slot 'one, other' needs a list of at least 2 values"),
        (STUDY | {"slots": {"one": [True]}}, "slot 'one' is True, expected a text"),
        (STUDY | {"examples": 0}, "examples is 0, expected a whole number from 1"),
        (STUDY | {"seed": "one"}, "seed is 'one', expected a whole number from 0 to 4294967295"),
        (STUDY | {"seed": -1}, "seed is -1, expected a whole number"),
        (
            {"pairs": [{"clean": "a", "corrupted": "b", "correct": "c"}]},
            "pair 1: incorrect is None, expected a text",
        ),
        *(
            (
                {"pairs": [PAIR | {"positions": {label: 2}}]},
                "pair 1: positions is .* expected a mapping of labels",
            )
            for label in (5, None, "", " ")
        ),
        (
            {"pairs": [PAIR | {"positions": {"all": 2}}]},
            "a position is labelled 'all', which means all positions",
        ),
        (
            STUDY | {"templates": ["{verb} {one:all}"]},
            "a position is labelled 'all', which means all positions",
        ),
        ({"pairs": [PAIR | {"group": "b"}, PAIR]}, "pair 2: group 'all' beside others means all prompts"),
        ({"pairs": [{"clean": "a", "wrong": "b"}]}, "pair 1: unknown key 'wrong'"),
        ({"pairs": {"clean": "a"}}, "pairs: a dict, expected a list"),
    ],
)
def test_mistakes_name_the_file_and_the_place(read, study, message):
    with pytest.raises(InputError, match=message) as error:
        read(study)
    assert "study.yaml" in str(error.value) and "\n" not in str(error.value)


def test_mistakes_in_a_csv(read, tmp_path):
    with pytest.raises(InputError, match="pairs.csv: the study is empty"):
        read("clean,corrupted,correct,incorrect\n", "pairs.csv")
    with pytest.raises(InputError, match="row 1: incorrect is None"):
        read("clean,corrupted,correct\na,b,c\n", "pairs.csv")
    with pytest.raises(InputError, match="pairs.csv: pair 2: group 'all' beside others"):
        read("clean,corrupted,correct,incorrect,group\na,b,c,d,e\nb,c,d,e,\n", "pairs.csv")
    with pytest.raises(InputError, match="no.csv: not a readable CSV file"):
        read_study(tmp_path / "no.csv")
    with pytest.raises(InputError, match="no.yaml: not a readable YAML file"):
        read_study(tmp_path / "no.yaml")


def test_too_many_fillings_ask_for_a_number(read):
    many = {
        "slots": {"a, b, c": [str(i) for i in range(40)]},
        "templates": ["{a}{b}{c}"],
        "correct": "x",
        "incorrect": "y",
    }
    with pytest.raises(InputError, match="59280 fillings of its slots; say how many to draw"):
        read(many)
