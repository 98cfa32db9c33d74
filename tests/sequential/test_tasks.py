import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rewire.errors import InputError
from rewire.sequential.tasks import examples
from rewire.sequential.tasks.declared import TASKS, numeral, parts_of
from rewire.sequential.tasks.examples import Example
from rewire.sequential.tasks.splits import split_of

LARGEST = {"largest": 99, "negative": True}
# (prompt, answer) by hand: what each task means
KNOWN = {
    "add": [("Find 17 + 25 =", "42")],
    "sub": [("Find 17 - 25 =", "-8")],
    "add_sub": [("Find 17 + 25 =", "42"), ("Find 17 - 25 =", "-8")],
    "add_sub_inverted": [("Find 17 + 25 =", "-8"), ("Find 17 - 25 =", "42")],
    "add_sub_alias": [("Find 17 @ 25 =", "42"), ("Find 17 # 25 =", "-8")],
    "conditional_add_sub": [("Find 9 ? 4 =", "5"), ("Find 4 ? 9 =", "13"), ("Find 4 ? 4 =", "8")],
    "abs": [("Find | 17 - 25 | =", "8")],
    "modulo": [("Find 17 mod 5 =", "2")],
    "floor_division": [("Find 17 // 5 =", "3")],
    "scaled_multiplication": [("Find 17 * 25 / 10 =", "42")],
    "add_base_8": [("Find base 8 : 17 + 25 =", "44")],
    "add_base_9": [("Find base 9 : 17 + 25 =", "43")],
    "add_base_10": [("Find base 10 : 17 + 25 =", "42")],
    "digit_sum": [("Find digits 17 25 =", "15")],
    "max": [("Find max 17 25 =", "25")],
    "min": [("Find min 17 25 =", "17")],
    "average": [("Find average 17 24 =", "20")],
    "sequence": [("Find after 7 10 13 =", "16")],
    "lcm": [("Find multiple 12 18 =", "36")],
    "function_evaluation": [("Find 3 * x + 4 for x 5 =", "19")],
}


@st.composite
def example_of(draw, task, limit=LARGEST):
    """Any example that ``task`` asks."""
    question = draw(st.integers(0, len(task.questions) - 1))
    ranges = task.ranges(limit["largest"])
    operands = st.tuples(*(st.sampled_from(values) for values in ranges))
    return Example(
        task, question, draw(operands.filter(lambda chosen: task.allowed(limit["largest"], *chosen)))
    )


def test_every_task_is_known_by_hand():
    assert set(KNOWN) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_prompts_and_answers_by_hand(name):
    asked = {e.prompt: e.answer for e in examples.all_examples(TASKS[name], LARGEST)}
    for prompt, answer in KNOWN[name]:
        assert asked[prompt] == answer == TASKS[name].oracle(prompt)


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=60)
@given(data=st.data())
def test_the_oracle_answers_as_the_generator(name, data):
    example = data.draw(example_of(TASKS[name]))
    assert TASKS[name].oracle(example.prompt) == example.answer


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_replacement_changes_one_operand_and_the_answer_where_it_can(name, data):
    limit = {"largest": 20, "negative": False}
    example = data.draw(example_of(TASKS[name], limit))
    source = data.draw(st.randoms(use_true_random=False))
    others = examples.replacements(example, limit, source)
    for other in others:
        different = [a != b for a, b in zip(example.operands, other.operands, strict=True)]
        assert sum(different) == 1 and other.question == example.question
        assert examples.asked(other, limit)
    same = [other.answer == example.answer for other in others]
    assert same == sorted(same)
    assert len({other.prompt for other in others}) == len(others)


@pytest.mark.parametrize("name", TASKS)
def test_order_is_seeded_and_holds_every_example_once(name):
    limit = {"largest": 12, "negative": True}
    inorder = list(examples.all_examples(TASKS[name], limit))
    mixed = list(examples.all_examples(TASKS[name], limit, seed=1))
    assert mixed != inorder and mixed != list(examples.all_examples(TASKS[name], limit, seed=2))
    assert sorted(map(hash, mixed)) == sorted(map(hash, inorder)) and len(set(mixed)) == len(mixed)
    assert mixed == list(examples.all_examples(TASKS[name], limit, seed=1))


def test_negative_answers_are_asked_for():
    limit = {"largest": 9, "negative": False}
    assert all(int(e.answer) >= 0 for e in examples.all_examples(TASKS["sub"], limit))
    assert any(int(e.answer) < 0 for e in examples.all_examples(TASKS["sub"], {**limit, "negative": True}))


@given(st.integers(-5000, 5000), st.integers(2, 10))
def test_numerals_read_back(number, base):
    assert int(numeral(number, base), base) == number


@given(st.permutations(["Find", "12", "+", "34", "="]), st.integers(0, 5))
def test_a_split_is_a_matter_of_the_words_alone(words, seed):
    rows = {"train": 8, "validation": 1, "test": 1}
    assert split_of(" ".join(words), rows, seed) == split_of("Find 12 + 34 =", rows, seed)


def test_splits_have_their_share():
    rows = {"train": 60, "validation": 0, "test": 20}
    found = [split_of(f"Find {a} + {b} =", rows, 0) for a in range(60) for b in range(a, 60)]
    assert 0.72 < found.count("train") / len(found) < 0.78 and "validation" not in found


def test_unknown_and_repeated_tasks_are_refused():
    with pytest.raises(
        InputError, match="task 'addd' is not one of add, sub, add_sub, .*function_evaluation"
    ):
        parts_of("addd")
    with pytest.raises(InputError, match="'add.add' has the same part twice"):
        parts_of("add+add")
    with pytest.raises(InputError, match="the largest number is 1, expected at least 2"):
        next(examples.all_examples(TASKS["add"], {"largest": 1, "negative": True}))
    with pytest.raises(InputError, match="make 25000000 prompts"):
        next(examples.all_examples(TASKS["add"], {"largest": 4999, "negative": True}))
