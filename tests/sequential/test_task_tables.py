import logging
import os
from pathlib import Path

import pytest
from sequential.task_bases import ROWS, WORDS, paths_in, word_base

from rewire.errors import InputError
from rewire.pairs import read_pairs
from rewire.pretrained import load_tokenizer
from rewire.sequential.tasks import table, vocabulary
from rewire.sequential.tasks.declared import DECLARED, TASKS, Question, Task, two
from rewire.tables import read_table

MATERIAL = os.environ.get("REWIRE_MATERIAL")
needs_material = pytest.mark.skipif(not MATERIAL, reason="REWIRE_MATERIAL is not set")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return word_base(tmp_path_factory.mktemp("words"))


def written(folder, task, base, seed=0, rows=ROWS, settings=WORDS):
    table.write_task(task, base, rows, seed, paths_in(folder), settings)
    return {split: read_table(path).to_pylist() for split, path in paths_in(folder).items()}


@pytest.mark.parametrize("task", [task.name for task in DECLARED if task.name != "function_evaluation"])
def test_pairs_are_right_and_splits_apart(tmp_path, base, task):
    check(written(tmp_path, task, base), [TASKS[task]], load_tokenizer(base), ROWS)
    for path in paths_in(tmp_path).values():
        ids, pairs = read_pairs(path)
        assert set(pairs.target_tokens.tolist()) == {1} and len(set(pairs.lengths.tolist())) == 1


def check(splits, tasks, tokenizer, rows):
    """Every row by the oracle from the decoded tokens, one operand replaced, no prompt in two splits."""
    prompts = {}
    for split, pairs in splits.items():
        assert len(pairs) == rows[split]
        assert len({row["id"] for row in pairs}) == len(pairs)
        prompts[split] = set()
        for row in pairs:
            clean, corrupted = (
                " ".join(tokenizer.decode(row[side][:-1]).split()) for side in ("clean", "corrupted")
            )
            answer = tokenizer.decode(row["clean"][-1:]).strip()
            assert clean == row["id"] and answer in [task.oracle(clean) for task in tasks]
            assert row["corrupted"][-1] == row["clean"][-1] and len(row["corrupted"]) == len(row["clean"])
            assert row["target_start"] == len(row["clean"]) - 1
            differing = [
                i for i, (a, b) in enumerate(zip(row["clean"], row["corrupted"], strict=True)) if a != b
            ]
            assert differing == [start for start, _ in row["masked_spans"]] and differing
            assert (
                len(differing) == 1 or "after" in clean
            )  # a sequence's terms follow from its first or its step
            prompts[split] |= {" ".join(sorted(text.split())) for text in (clean, corrupted)}
    assert not prompts["train"] & prompts["validation"]
    assert not (prompts["train"] | prompts["validation"]) & prompts["test"]


def test_small_worlds_have_their_own_rows(tmp_path, base):
    """Slopes, intercepts and arguments up to 4 make 100 prompts."""
    rows = {"train": 20, "validation": 6, "test": 6}
    splits = written(tmp_path, "function_evaluation", base, rows=rows)
    check(splits, [TASKS["function_evaluation"]], load_tokenizer(base), rows)


def test_answers_change_wherever_they_can(tmp_path, base):
    for row in written(tmp_path, "add", base)["train"]:
        corrupted = load_tokenizer(base).decode(row["corrupted"][:-1])
        assert TASKS["add"].oracle(corrupted) != TASKS["add"].oracle(row["id"])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path, base):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        table.write_task("add_sub", base, ROWS, seed, paths_in(tmp_path / name), WORDS)
    first, again, other = (paths_in(tmp_path / name)["train"].read_bytes() for name in "abc")
    assert first == again and first != other


def test_one_task_never_trains_on_what_another_is_tested_on(tmp_path, base):
    """AddSub asks the prompts of Add and Sub, AddSubInv all of them."""
    names = ("add", "sub", "add_sub", "add_sub_inverted")
    found = [written(tmp_path / name, name, base, rows=dict.fromkeys(ROWS, 80)) for name in names]
    seen = {split: {row["id"] for task in found for row in task[split]} for split in ROWS}
    shared = {row["id"] for row in found[0]["train"]} & {row["id"] for row in found[3]["train"]}
    assert shared and not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]


def test_a_union_has_as_many_rows_of_each_part(tmp_path, base):
    splits = written(tmp_path, "add+max+sequence", base, rows={"train": 31, "validation": 9, "test": 9})
    for word, count in {"+": 11, "max": 10, "after": 10}.items():
        assert sum(f" {word} " in row["id"] for row in splits["train"]) == count
    words = [row["id"].split()[1] for row in splits["train"]]
    assert words != sorted(words)  # mixed
    for pairs in splits.values():
        assert len({row["id"] for row in pairs}) == len(pairs)


def test_a_union_asks_no_prompt_twice(tmp_path, base):
    rows = {"train": 60, "validation": 10, "test": 10}
    splits = written(tmp_path, "add+add_sub", base, rows=rows)
    check(splits, [TASKS["add"], TASKS["add_sub"]], load_tokenizer(base), rows)


@pytest.mark.parametrize(
    ("task", "settings", "rows", "message"),
    [
        ("add+add_sub_inverted", {}, {}, "tasks 'add' and 'add_sub_inverted' cannot be one: 'Find 0 . 1 ='"),
        ("add", {"largest": 3}, {}, "task 'add': 24 train rows asked, and only"),
        ("add", {"most": 3}, {}, "unknown setting 'most'; there are largest, negative, splits"),
        ("add", {"splits": "skip"}, {}, "splits 'skip' is not one of refuse, drop"),
        ("add", {}, {"test": -1}, "expected how many train, validation and test"),
        ("add", {"largest": 400}, {}, "has no token for"),
        ("addition", {}, {}, "task 'addition' is not one of add"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, base, task, settings, rows, message):
    with pytest.raises(InputError, match=message):
        table.write_task(task, base, ROWS | rows, 0, paths_in(tmp_path), WORDS | settings)
    assert not list(tmp_path.iterdir())


def test_a_generator_that_contradicts_its_oracle_is_refused(tmp_path, base, monkeypatch):
    wrong = Task("wrong", (Question("Find {} + {} =", lambda a, b: a + b + 1),), two, TASKS["add"].oracle)
    monkeypatch.setitem(TASKS, "wrong", wrong)
    with pytest.raises(InputError, match="to its oracle"):
        table.write_task("wrong", base, ROWS, 0, paths_in(tmp_path), WORDS)


@pytest.fixture(scope="module")
def gpt2():
    return Path(MATERIAL) / "tokenizers" / "gpt2"


@needs_material
@pytest.mark.parametrize("task", TASKS)
def test_the_tokenizer_of_gpt2_reads_every_task(tmp_path, gpt2, task):
    rows = {"train": 20, "validation": 5, "test": 5}
    splits = written(tmp_path, task, gpt2, rows=rows, settings={"splits": "drop"})
    check(splits, [TASKS[task]], load_tokenizer(gpt2), rows)


@needs_material
def test_numbers_that_split_are_refused_or_dropped(tmp_path, gpt2, caplog):
    with pytest.raises(
        InputError, match=r"task 'sub': the number -\d+ is 2 tokens \['Ġ-', '\d+'\].*expected one"
    ):
        written(tmp_path, "sub", gpt2, settings={"negative": True})
    assert not list(tmp_path.iterdir())
    with caplog.at_level(logging.INFO):
        splits = written(tmp_path, "sub", gpt2, settings={"negative": True, "splits": "drop"})
    assert "a number of several tokens was passed over (the number -" in caplog.text
    check(splits, [TASKS["sub"]], load_tokenizer(gpt2), ROWS)


def test_words_are_all_that_is_needed_and_no_more():
    words = vocabulary.words(["add", "sub"], {"largest": 5, "negative": True})
    assert words == ["+", "-", "=", "Find", *map(str, range(-5, 11))]
    assert vocabulary.words(["add+sub"], {"largest": 5, "negative": False}) == [
        "+",
        "-",
        "=",
        "Find",
        *map(str, range(11)),
    ]


def test_a_word_tokenizer_says_what_it_does_not_know(tmp_path):
    tokenizer = vocabulary.word_tokenizer(["Find", "1", "-2"])
    assert tokenizer("Find 1 -2 other")["input_ids"] == [2, 3, 4, tokenizer.unk_token_id]
    assert tokenizer.eos_token_id == 0
