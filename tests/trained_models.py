"""Two trained transformers that solve their task without error, and clean/corrupted pairs of those tasks.

``adder``: two operands of two digits, then the digits of their sum, units first: 3 5 4 7 -> 2 8 0 (35 + 47 = 082).
``sort``: six symbols of three, then the same in order: 2 0 1 0 2 1 -> 0 0 1 1 2 2.
Every answer token is predicted from the question and the answer tokens before it. A pair replaces question tokens; its
target is the first answer token that differs (or the whole answer), its wrong token the corrupted question's answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rewire.circuits.controls import without_edges, without_nodes
from rewire.circuits.graph import Graph
from rewire.circuits.selection import Circuit, whole
from rewire.models import Model, load
from rewire.pairs import TokenPairs

Tokens = NDArray[np.int64]
SEED, CANDIDATES = 0, 60_000  # of the stream of pairs that every kind draws from


@dataclass(frozen=True)
class Task:
    """``folder``: the model's, below the material; ``symbols``: in the vocabulary; ``question``: its tokens;
    ``answer``: questions [N, question] -> answers [N, a].
    """

    folder: str
    symbols: int
    question: int
    answer: Callable[[Tokens], Tokens]


@dataclass(frozen=True)
class Kind:
    """A kind of pair: one of the groups of question tokens ``redrawn`` is drawn anew in the corrupted question.

    ``keeps``: clean and corrupted answers [N, a] -> bool [N], the pairs that are of this kind; ``whole_answer``: all
    answer tokens are targets, and the corrupted run reads the corrupted question's own answer.
    """

    task: Task
    redrawn: tuple[tuple[int, ...], ...]
    keeps: Callable[[Tokens, Tokens], NDArray[np.bool_]]
    whole_answer: bool = False


def sum_digits(question: Tokens) -> Tokens:
    """Units, tens and hundreds of the sum of two two-digit numbers: [N, 4] -> [N, 3]."""
    total = question @ np.array([10, 1, 10, 1])
    return np.stack([total % 10, total // 10 % 10, total // 100], axis=1)


def in_order(question: Tokens) -> Tokens:
    """The question's symbols, smallest first: [N, 6] -> [N, 6]."""
    return np.sort(question, axis=1)


def first_difference(clean: Tokens, corrupted: Tokens) -> Tokens:
    """int64 [N]: index of the first answer token that differs, the answer's length if none does."""
    differs = clean != corrupted
    return np.where(differs.any(axis=1), differs.argmax(axis=1), clean.shape[1])


def from_digit(digit: int) -> Callable[[Tokens, Tokens], NDArray[np.bool_]]:
    """Pairs whose answers are the same before the answer's ``digit`` (0: units) and differ there."""
    return lambda clean, corrupted: first_difference(clean, corrupted) == digit


def boundary(symbol: int) -> Callable[[Tokens, Tokens], NDArray[np.bool_]]:
    """Pairs whose answers differ in one token alone: ``symbol`` in one, the next symbol in the other."""

    def keeps(clean: Tokens, corrupted: Tokens) -> NDArray[np.bool_]:
        one = (clean != corrupted).sum(axis=1) == 1
        lower = np.where(clean != corrupted, np.minimum(clean, corrupted), 0).sum(axis=1)
        higher = np.where(clean != corrupted, np.maximum(clean, corrupted), 0).sum(axis=1)
        return one & (lower == symbol) & (higher == symbol + 1)

    return keeps


def another_answer(clean: Tokens, corrupted: Tokens) -> NDArray[np.bool_]:
    return (clean != corrupted).any(axis=1)


def same_answer(clean: Tokens, corrupted: Tokens) -> NDArray[np.bool_]:
    return (clean == corrupted).all(axis=1)


ADDER = Task("models/adder/trained", 10, 4, sum_digits)
SORT = Task("models/sort", 3, 6, in_order)
EACH_SYMBOL = tuple((place,) for place in range(6))
KINDS = {
    "units": Kind(ADDER, ((1,), (3,)), from_digit(0)),
    "units, 1st operand": Kind(ADDER, ((1,),), from_digit(0)),
    "units, 2nd operand": Kind(ADDER, ((3,),), from_digit(0)),
    "tens": Kind(ADDER, ((0,), (2,)), from_digit(1)),
    "tens, 1st operand": Kind(ADDER, ((0,),), from_digit(1)),
    "tens, 2nd operand": Kind(ADDER, ((2,),), from_digit(1)),
    "carry": Kind(ADDER, ((1, 3),), from_digit(1)),  # same units of the sum, the other carry
    "hundreds": Kind(ADDER, ((0, 2),), from_digit(2)),  # same units and tens of the sum
    "sum": Kind(ADDER, ((0, 1, 2, 3),), another_answer, whole_answer=True),
    "0|1": Kind(SORT, EACH_SYMBOL, boundary(0)),  # one 0 more or less, one 1 less or more
    "1|2": Kind(SORT, EACH_SYMBOL, boundary(1)),
    "list": Kind(SORT, (tuple(range(6)),), another_answer, whole_answer=True),
    "reordered": Kind(SORT, (tuple(range(6)),), same_answer, whole_answer=True),  # the same symbols, moved
}


def make_pairs(name: str, n: int, start: int = 0) -> TokenPairs:
    """Pairs ``start``..``start + n - 1`` of the stream of distinct pairs of kind ``name``: the same at every call."""
    kind = KINDS[name]
    clean, corrupted = distinct_questions(kind)
    right, wrong = kind.task.answer(clean), kind.task.answer(corrupted)
    chosen = np.flatnonzero(kind.keeps(right, wrong))[start : start + n]
    assert len(chosen) == n, f"pairs {name!r}: only {len(chosen)} from {start}"
    clean, corrupted, right, wrong = clean[chosen], corrupted[chosen], right[chosen], wrong[chosen]
    width = right.shape[1]
    last = np.full(n, width - 1) if kind.whole_answer else first_difference(right, wrong)
    return TokenPairs(
        torch.from_numpy(np.concatenate([clean, right], axis=1)),
        torch.from_numpy(np.concatenate([corrupted, wrong if kind.whole_answer else right], axis=1)),
        lengths=torch.from_numpy(kind.task.question + 1 + last),
        target_tokens=width if kind.whole_answer else 1,
        wrong_token=torch.from_numpy(wrong[np.arange(n), last]),
    )


def distinct_questions(kind: Kind) -> tuple[Tokens, Tokens]:
    """Clean and corrupted questions, [N, question] each, in the order drawn: no pair twice, none of two equal ones."""
    random = np.random.default_rng(SEED)
    shape = (CANDIDATES, kind.task.question)
    clean, fresh = (random.integers(kind.task.symbols, size=shape) for _ in range(2))
    groups = np.zeros((len(kind.redrawn), kind.task.question), dtype=bool)
    for number, places in enumerate(kind.redrawn):
        groups[number, list(places)] = True
    corrupted = np.where(groups[random.integers(len(groups), size=CANDIDATES)], fresh, clean)
    _, first = np.unique(np.concatenate([clean, corrupted], axis=1), axis=0, return_index=True)
    chosen = np.sort(first)[(clean != corrupted)[np.sort(first)].any(axis=1)]
    return clean[chosen], corrupted[chosen]


def answer_token(pairs: TokenPairs, question: int, index: int) -> TokenPairs:
    """Pairs of whole answers with the answer's token ``index`` as the one target, after ``question`` tokens."""
    length = question + index + 1
    return TokenPairs(
        pairs.clean[:, :length], pairs.corrupted[:, :length], wrong_token=pairs.corrupted[:, length - 1]
    )


def load_trained(material: Path, task: Task) -> Model:
    """The task's model. Its positions end where the last answer token is read from: that token is a target alone."""
    return load(material / task.folder)


@torch.no_grad()
def attention_patterns(model: Model, tokens: Tensor) -> list[Tensor]:
    """L x [B, H, T, T]: attention of every head of a GPT-2 from each position (rows) on each (columns)."""
    stream = model.stream
    trace = stream.run(stream.embed(tokens.to(stream.embedding.device)), 0, None)
    patterns = []
    for qkv in trace.qkv:
        q, k = qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1].transpose(1, 2)  # [B, H, T, E]
        scores = q @ k.transpose(-1, -2) / stream.d_head**0.5
        future = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
        patterns.append(scores.masked_fill(future, float("-inf")).softmax(dim=-1).cpu())
    return patterns


def knocked_out(graph: Graph, *names: str) -> Circuit:
    """The whole model in which the named heads and MLPs (as in ``graph.sources``) write what they write corrupted."""
    return without_nodes(whole(graph), torch.tensor([name in names for name in graph.sources]))


def cut(graph: Graph, edges: list[str]) -> Circuit:
    """The whole model in which the named edges (``u->v``) carry the corrupted value."""
    removed = torch.zeros_like(graph.mask)
    for edge in edges:
        source, destination = edge.split("->")
        removed[graph.sources.index(source), graph.destinations.index(destination)] = True
    return without_edges(whole(graph), removed)
