"""The tasks of sequential fine-tuning: what is asked, of which operands, and the answer. "Tasks" in docs/definitions.md.

A prompt is words and numbers with spaces between, so that a tokenizer with one token a number serves every task. What
tells two tasks apart is their symbols alone: AddSub and AddSubInv ask the same prompts and answer them differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewire.errors import InputError
from rewire.sequential.tasks import oracle

Ranges = tuple[Sequence[int], ...]  # the values that each operand may have
UNION = "+"  # between the names of tasks that are trained together


@dataclass(frozen=True)
class Question:
    """One way to ask: ``template`` has a ``{}`` for every number shown, ``answer`` takes the operands."""

    template: str
    answer: Callable[..., int]


def as_they_are(*operands: int) -> tuple[int, ...]:
    return operands


def always(largest: int, *operands: int) -> bool:
    return True


@dataclass(frozen=True)
class Task:
    """``questions``: ways to ask, each as often as the others. ``ranges``: the operands' values, from the largest number.

    ``oracle``: the answer from the prompt's text alone, computed in another way. ``allowed``: which operands are asked,
    from the largest number and the operands. ``shown``: the numbers in the prompt, from the operands. ``base``: of every numeral.
    """

    name: str
    questions: tuple[Question, ...]
    ranges: Callable[[int], Ranges]
    oracle: Callable[[str], str]
    allowed: Callable[..., bool] = always
    shown: Callable[..., tuple[int, ...]] = as_they_are
    base: int = 10

    def prompt(self, question: int, operands: Sequence[int]) -> str:
        """The text that is asked."""
        numbers = [numeral(number, self.base) for number in self.shown(*operands)]
        return self.questions[question].template.format(*numbers)

    def answer(self, question: int, operands: Sequence[int]) -> str:
        """The right answer as text."""
        return numeral(self.questions[question].answer(*operands), self.base)


def numeral(number: int, base: int) -> str:
    """``number`` written in ``base`` (2 to 10), with a minus sign where it is negative."""
    digits = ""
    rest = abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, base)
        digits = f"{digit}{digits}"
    return f"-{digits}" if number < 0 else digits


def two(largest: int) -> Ranges:
    """Two operands from 0."""
    return range(largest + 1), range(largest + 1)


def written_in(base: int) -> Callable[[int], Ranges]:
    """Two numbers whose numerals, read as decimal ones, are at most the largest number."""

    def ranges(largest: int) -> Ranges:
        values = [int(str(n), base) for n in range(largest + 1) if max(map(int, str(n))) < base]
        return values, values

    return ranges


def divisor(part: int) -> Callable[[int], Ranges]:
    """A divisor from 2 to a ``part`` of the largest number: with larger ones most quotients are 0, most remainders the number."""

    def ranges(largest: int) -> Ranges:
        return range(largest + 1), range(2, max(3, largest // part) + 1)

    return ranges


def first_and_step(largest: int) -> Ranges:
    return range(largest + 1), range(1, max(2, largest // 4) + 1)


def line(largest: int) -> Ranges:
    """Slope, intercept and argument, so small that the value stays near the largest number."""
    most = max(2, math.isqrt(largest))
    return range(1, most + 1), range(most + 1), range(most + 1)


def difference(a: int, b: int) -> int:
    return a - b


def total(a: int, b: int) -> int:
    return a + b


def multiple_in_range(largest: int, a: int, b: int) -> bool:
    return math.lcm(a, b) <= largest


def terms(first: int, step: int) -> tuple[int, ...]:
    return first, first + step, first + 2 * step


def digits_of_both(a: int, b: int) -> int:
    return sum(map(int, f"{a}{b}"))


SCALE = 10  # ScaledMul: products are divided by it, rounded down
ADD, SUBTRACT = "Find {} + {} =", "Find {} - {} ="

DECLARED = (
    Task("add", (Question(ADD, total),), two, oracle.signs),
    Task("sub", (Question(SUBTRACT, difference),), two, oracle.signs),
    Task("add_sub", (Question(ADD, total), Question(SUBTRACT, difference)), two, oracle.signs),
    Task(
        "add_sub_inverted",
        (Question(ADD, difference), Question(SUBTRACT, total)),
        two,
        oracle.swapped_signs,
    ),
    Task(
        "add_sub_alias",
        (Question("Find {} @ {} =", total), Question("Find {} # {} =", difference)),
        two,
        oracle.alias_signs,
    ),
    Task(
        "conditional_add_sub",
        (Question("Find {} ? {} =", lambda a, b: a - b if a > b else a + b),),
        two,
        oracle.conditional,
    ),
    Task("abs", (Question("Find | {} - {} | =", lambda a, b: abs(a - b)),), two, oracle.absolute),
    Task("modulo", (Question("Find {} mod {} =", lambda a, b: a % b),), divisor(2), oracle.remainder),
    Task(
        "floor_division",
        (Question("Find {} // {} =", lambda a, b: a // b),),
        divisor(4),
        oracle.quotient,
    ),
    Task(
        "scaled_multiplication",
        (Question(f"Find {{}} * {{}} / {SCALE} =", lambda a, b: a * b // SCALE),),
        two,
        oracle.scaled_product,
    ),
    *(
        Task(
            f"add_base_{base}",
            (Question(f"Find base {base} : {{}} + {{}} =", total),),
            written_in(base),
            oracle.column_sum,
            base=base,
        )
        for base in (8, 9, 10)
    ),
    Task("digit_sum", (Question("Find digits {} {} =", digits_of_both),), two, oracle.digit_sum),
    Task("max", (Question("Find max {} {} =", max),), two, oracle.largest),
    Task("min", (Question("Find min {} {} =", min),), two, oracle.smallest),
    Task("average", (Question("Find average {} {} =", lambda a, b: (a + b) // 2),), two, oracle.middle),
    Task(
        "sequence",
        (Question("Find after {} {} {} =", lambda first, step: first + 3 * step),),
        first_and_step,
        oracle.next_term,
        shown=terms,
    ),
    Task(
        "lcm",
        (Question("Find multiple {} {} =", math.lcm),),
        lambda largest: (range(1, largest + 1), range(1, largest + 1)),
        oracle.common_multiple,
        allowed=multiple_in_range,
    ),
    Task(
        "function_evaluation",
        (Question("Find {} * x + {} for x {} =", lambda slope, intercept, x: slope * x + intercept),),
        line,
        oracle.value_at,
    ),
)
TASKS: dict[str, Task] = {task.name: task for task in DECLARED}

# tasks made of two others: AddSub asks the prompts of both, CondAddSub follows now one rule, now the other
COMPOSITES = {"add_sub": ("add", "sub"), "conditional_add_sub": ("add", "sub")}


def parts_of(name: str) -> list[Task]:
    """The tasks of ``name``: one, or several joined by ``+`` (a union, for multi-task runs).

    Errors: InputError for an unknown task, with those that there are, or one that is named twice.
    """
    names = name.split(UNION)
    for part in names:
        if part not in TASKS:
            raise InputError(f"task {part!r} is not one of {', '.join(TASKS)}")
    if len(set(names)) < len(names):
        raise InputError(f"task {name!r} has the same part twice")
    return [TASKS[part] for part in names]
