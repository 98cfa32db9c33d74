"""What each head attends to, and what goes wrong without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
import torch
from trained_models import (
    ADDER,
    KINDS,
    SORT,
    Task,
    answer_token,
    attention_patterns,
    cut,
    in_order,
    knocked_out,
    sum_digits,
)

from rewire.circuits import evaluation
from rewire.circuits.runs import PairRuns

from .study import all_right, judged, mean, model_of, name_of, table

LAYERS = [tuple(f"a{layer}.h{h}" for h in range(3)) for layer in range(3)]
HEADS = [(head,) for layer in LAYERS for head in layer]
MLPS = [(f"m{layer}",) for layer in range(3)]
TENS_AND_CARRY = {
    "m0 to the values of a1.h0, a1.h2": ["m0->a1.h0<v>", "m0->a1.h2<v>"],
    "m0, m1 to the values of a2.h0, a2.h1": [f"m{m}->a2.h{head}<v>" for m in (0, 1) for head in (0, 1)],
    "a2.h0, a2.h1 to m2": ["a2.h0->m2", "a2.h1->m2"],
    "a2.h0, a2.h1 to the logits": ["a2.h0->logits", "a2.h1->logits"],
}
DIGITS = ("units", "tens", "hundreds")


def tables() -> Iterator[str]:
    yield knock_outs(
        ADDER, [*HEADS, ("a0.h0", "a0.h2"), ("a1.h0", "a1.h2"), ("a2.h0", "a2.h1"), *LAYERS, *MLPS]
    )
    yield knock_outs(SORT, [*HEADS, *combinations(LAYERS[0], 2), *LAYERS, *MLPS])
    yield values_and_patterns(ADDER, TENS_AND_CARRY)
    yield values_and_patterns(SORT, {})
    yield digits_without([*HEADS, ("a0.h0", "a0.h2"), ("a1.h0", "a1.h2"), ("a2.h0", "a2.h1")])
    yield adder_attention()
    yield sort_attention()


def knock_outs(task: Task, groups: Sequence[tuple[str, ...]]) -> str:
    """How often the answer stays right when heads or MLPs write what they write on the corrupted question."""
    graph = model_of(task).graph
    kinds = [name for name, kind in KINDS.items() if kind.task is task and name not in ("sum", "list")]
    columns = [all_right(kind, [knocked_out(graph, *names) for names in groups]) for kind in kinds]
    rows = [[f"`{' '.join(names)}`", *(mean(c[i]) for c in columns)] for i, names in enumerate(groups)]
    return table(f"{name_of(task)}: answers right without heads or MLPs", ["knocked out", *kinds], rows)


def values_and_patterns(task: Task, paths: dict[str, list[str]]) -> str:
    """How often the answer stays right when a layer's values, its queries and keys, or edges of a path are corrupted."""
    graph = model_of(task).graph
    groups = {
        f"layer {layer}: all of {letters}": [
            f"{source}->a{layer}.h{head}<{letter}>"
            for source in graph.sources[: graph.first_source(layer)]
            for head in range(graph.n_heads)
            for letter in letters.split(", ")
        ]
        for layer in range(graph.n_layers)
        for letters in ("v", "q, k")
    } | paths
    kinds = [name for name, kind in KINDS.items() if kind.task is task and name not in ("sum", "list")]
    columns = [all_right(kind, [cut(graph, edges) for edges in groups.values()]) for kind in kinds]
    rows = [[name, *(mean(column[i]) for column in columns)] for i, name in enumerate(groups)]
    return table(f"{name_of(task)}: answers right with edges cut", ["edges cut", *kinds], rows)


def digits_without(groups: Sequence[tuple[str, ...]]) -> str:
    """Each digit of the sum when heads write what they write on another sum; how the tens are wrong where they are."""
    model, pairs = model_of(ADDER), judged("sum")
    rows = []
    for names in groups:
        circuit = knocked_out(model.graph, *names)
        cells, wrong = [], np.zeros(0)
        for index in range(len(DIGITS)):
            target = answer_token(pairs, ADDER.question, index)
            predicted = evaluation.run_circuit(PairRuns(model.stream, target), circuit).argmax(dim=-1).cpu()
            off = ((predicted - target.clean[:, -1]) % 10).numpy()
            cells.append(mean(off == 0))
            if DIGITS[index] == "tens":
                wrong = off[off != 0]
        by_one = f"{int(np.isin(wrong, (1, 9)).sum())} of {len(wrong)}"
        rows.append([f"`{' '.join(names)}`", *cells, by_one])
    header = ["knocked out", *DIGITS, "wrong tens that are off by one"]
    return table("adder: digits right when heads write what they write on another sum", header, rows)


def adder_attention() -> str:
    """Where every head looks from the places that matter, over all 10,000 sums: mean attention of 0.1 and more."""
    question = np.array(list(product(range(10), repeat=4)))
    tokens = torch.from_numpy(np.concatenate([question, sum_digits(question)[:, :-1]], axis=1))
    patterns = attention_patterns(model_of(ADDER), tokens)
    digits = ("1st tens", "1st units", "2nd tens", "2nd units", "sum's units", "sum's tens")
    rows = []
    for layer, head in product(range(3), range(3)):
        cells = []
        for place in range(2, 6):
            weights = zip(digits, patterns[layer][:, head, place].mean(dim=0).tolist(), strict=True)
            cells.append(", ".join(f"{digit} {weight:.2f}" for digit, weight in weights if weight >= 0.1))
        rows.append([f"`a{layer}.h{head}`", *cells])
    # an answer digit is read off the token before it
    places = ["at the 2nd tens", "where units are read", "where tens are read", "where hundreds are read"]
    return table("adder: mean attention of at least 0.1, all 10,000 sums", ["head", *places], rows)


def sort_attention() -> str:
    """Attention of every head on the 0s, 1s and 2s of the question at each answer position, two of each in the question."""
    question = np.array([q for q in product(range(3), repeat=6) if sorted(q) == [0, 0, 1, 1, 2, 2]])
    tokens = torch.from_numpy(np.concatenate([question, in_order(question)[:, :-1]], axis=1))
    patterns = attention_patterns(model_of(SORT), tokens)
    rows = []
    for layer, head in product(range(3), range(3)):
        cells = []
        for place in range(5, 11):
            on_question = patterns[layer][:, head, place, :6].numpy()
            shares = [(on_question * (question == symbol)).sum(axis=1).mean() for symbol in range(3)]
            cells.append(" / ".join(f"{share:.2f}" for share in shares))
        rows.append([f"`a{layer}.h{head}`", *cells])
    header = ["head", *(f"token {i + 1} of the answer" for i in range(6))]
    return table(
        "sort: attention on the question's 0s / 1s / 2s, the 90 lists with two of each", header, rows
    )
