"""The answer to a prompt from its text alone, for every task: written apart from the generator, and by other means.

Numbers are counted, compared and added digit by digit here where the generator uses Python's operators, so that a wrong
rule, a wrong symbol or a wrong numeral in either does not go unseen.
"""

from __future__ import annotations

import re
from itertools import count


def numbers(prompt: str) -> list[int]:
    """The numbers of the prompt in order, read as decimal ones."""
    return [int(word) for word in prompt.split() if word.isdigit()]


def symbol(prompt: str) -> str:
    """The word between the first two numbers."""
    found = re.search(r"\d+ (\S+) \d+", prompt)
    assert found is not None
    return found[1]


def add(a: int, b: int) -> int:
    return len([*range(a), *range(b)])


def subtract(a: int, b: int) -> int:
    """What has to be added to b to reach a."""
    return len(range(b, a)) - len(range(a, b))


def by_symbol(prompt: str, plus: str, minus: str) -> str:
    a, b = numbers(prompt)
    return str({plus: add, minus: subtract}[symbol(prompt)](a, b))


def signs(prompt: str) -> str:
    return by_symbol(prompt, "+", "-")


def swapped_signs(prompt: str) -> str:
    return by_symbol(prompt, "-", "+")


def alias_signs(prompt: str) -> str:
    return by_symbol(prompt, "@", "#")


def conditional(prompt: str) -> str:
    a, b = numbers(prompt)
    return str(subtract(a, b) if b in range(a) else add(a, b))


def absolute(prompt: str) -> str:
    low, high = sorted(numbers(prompt))
    return str(len(range(low, high)))


def steps(a: int, b: int) -> list[int]:
    """a, a - b, a - 2b, ... as far as it is not negative."""
    return list(range(a, -1, -b))


def remainder(prompt: str) -> str:
    return str(steps(*numbers(prompt))[-1])


def quotient(prompt: str) -> str:
    return str(len(steps(*numbers(prompt))) - 1)


def scaled_product(prompt: str) -> str:
    a, b, scale = numbers(prompt)
    return str(len(steps(sum([a] * b), scale)) - 1)


def column_sum(prompt: str) -> str:
    """Column addition of the two numerals after the colon, in the base before it."""
    before, after = prompt.split(" : ")
    base = numbers(before)[0]
    left, right = (word for word in after.split() if word.isdigit())
    width = max(len(left), len(right))
    carry, written = 0, ""
    for a, b in zip(reversed(left.zfill(width)), reversed(right.zfill(width)), strict=True):
        column = int(a) + int(b) + carry
        carry = 1 if column >= base else 0
        written = str(column - base * carry) + written
    return f"1{written}" if carry else written


def digit_sum(prompt: str) -> str:
    return str(sum(digit * sum(word.count(str(digit)) for word in prompt.split()) for digit in range(10)))


def largest(prompt: str) -> str:
    return str(sorted(numbers(prompt))[-1])


def smallest(prompt: str) -> str:
    return str(sorted(numbers(prompt))[0])


def middle(prompt: str) -> str:
    """From the smaller number up and from the larger down until they meet; of two middles, the smaller."""
    low, high = sorted(numbers(prompt))
    while high - low > 1:
        low, high = low + 1, high - 1
    return str(low)


def next_term(prompt: str) -> str:
    *_, before, last = numbers(prompt)
    return str(last + (last - before))


def common_multiple(prompt: str) -> str:
    a, b = numbers(prompt)
    return str(next(a * k for k in count(1) if a * k in range(b, a * b + 1, b)))


def value_at(prompt: str) -> str:
    slope, intercept, x = numbers(prompt)
    return str(intercept + sum([slope] * x))
