"""Exact against integrated scores on two trained models, and what their circuits do: docs/sort-and-adder.md."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr
from trained_models import (
    ADDER,
    KINDS,
    SORT,
    answer_token,
    attention_patterns,
    cut,
    in_order,
    knocked_out,
    load_trained,
    make_pairs,
    sum_digits,
)

from rewire.circuits import comparison, controls, evaluation, selection
from rewire.circuits.attribution import attribute
from rewire.circuits.runs import PairRuns
from rewire.pairs import TokenPairs

EXACT, SCORED, JUDGED = (
    48,
    160,
    96,
)  # pairs that are scored by exact, by gradients; others, that judge the circuits
METHODS = {
    "exact": {"method": "exact"},
    "EAP": {"method": "EAP"},
    "EAP-IG": {"method": "EAP-IG-inputs", "steps": 10, "grid": "midpoint"},
}


@pytest.fixture(scope="module")
def model(material) -> Callable:
    """task -> its model."""
    return cache(lambda task: load_trained(material, task))


@pytest.fixture(scope="module")
def scores(model) -> Callable:
    """kind, metric, method, number of pairs -> scores of every edge."""

    @cache
    def of(kind, metric, method, n=EXACT):
        return attribute(model(KINDS[kind].task), make_pairs(kind, n), metric, **METHODS[method])

    return of


@pytest.fixture(scope="module")
def right(model) -> Callable:
    """kind, circuits -> share of the judging pairs whose every target token is the most likely one, float64 [circuits]."""

    def share(kind, circuits):
        values = evaluation.evaluate(
            model(KINDS[kind].task), circuits, make_pairs(kind, JUDGED, start=SCORED), ["accuracy"]
        )
        return (values["accuracy"] > 1 - 1e-6).double().mean(dim=1).numpy()

    return share


@pytest.fixture(scope="module")
def right_without(model, right) -> Callable:
    """kind, names, ... -> share of right answers when heads (``a0.h0 a0.h2``) write what they write corrupted, each."""

    def share(kind, *groups):
        graph = model(KINDS[kind].task).graph
        return right(kind, [knocked_out(graph, *names.split()) for names in groups])

    return share


@pytest.mark.parametrize("name", KINDS)
def test_pairs_differ_where_they_say_and_nowhere_else(name):
    kind, pairs = KINDS[name], make_pairs(name, 50)
    question = kind.task.question
    differs = pairs.clean != pairs.corrupted
    assert differs[:, :question].any(dim=1).all()
    for row in differs[:, :question]:
        assert any(set(row.nonzero().flatten().tolist()) <= set(places) for places in kind.redrawn)
    if not kind.whole_answer:
        assert not differs[:, question:].any()
    answers = [kind.task.answer(tokens[:, :question].numpy()) for tokens in (pairs.clean, pairs.corrupted)]
    last = (pairs.lengths - 1 - question).numpy()
    rows = np.arange(50)
    assert (pairs.wrong_token.numpy() == answers[1][rows, last]).all()
    for i in rows:
        assert (
            pairs.clean[i, question : question + last[i] + 1].tolist()
            == answers[0][i, : last[i] + 1].tolist()
        )
    if not kind.whole_answer:
        assert (answers[0][rows, last] != answers[1][rows, last]).all()
    assert len({tuple(row) for row in torch.cat([pairs.clean, pairs.corrupted], dim=1).tolist()}) == 50


@pytest.mark.parametrize(("task", "questions"), [(ADDER, 10**4), (SORT, 3**6)])
def test_the_models_solve_their_tasks_without_error(model, task, questions):
    grid = torch.cartesian_prod(*[torch.arange(task.symbols)] * task.question)
    answers = torch.from_numpy(task.answer(grid.numpy()))
    tokens = torch.cat([grid, answers], dim=1)
    assert len(tokens) == questions
    pairs = TokenPairs(tokens, tokens, target_tokens=answers.shape[1])
    accuracy = evaluation.evaluate_baselines(model(task), pairs, ["accuracy"])["clean"]["accuracy"]
    assert accuracy.min() == 1


@pytest.mark.parametrize("kind", ["units", "tens", "carry", "0|1"])
def test_integrated_scores_rank_edges_as_exact_does(scores, kind):
    exact, integrated = scores(kind, "logit_diff", "exact"), scores(kind, "logit_diff", "EAP-IG")
    exists = exact.graph.mask
    rank = spearmanr(exact.values[exists].abs(), integrated.values[exists].abs()).statistic
    assert rank >= (0.9 if KINDS[kind].task is SORT else 0.75)
    leading = [set(selection.ranking(s)[:10].tolist()) for s in (exact, integrated)]
    assert len(leading[0] & leading[1]) >= 7


@pytest.mark.parametrize("kind", ["units", "0|1"])
def test_gradients_of_the_clean_run_alone_miss_the_change_of_a_saturated_loss(scores, kind):
    assert scores(kind, "nll", "EAP").completeness_gap > 0.95
    assert scores(kind, "nll", "EAP-IG").completeness_gap < 0.1


def test_exact_scores_are_blind_to_edges_that_stand_in_for_each_other(model, scores):
    graph = model(SORT).graph
    without = cut(graph, [f"input->a0.h{head}<v>" for head in range(3)])
    circuits = [selection.whole(graph), without]
    values = evaluation.evaluate(model(SORT), circuits, make_pairs("0|1", EXACT), ["nll"])["nll"].mean(dim=1)
    together = float(values[1] - values[0])
    removed = graph.mask & ~without.mask
    one_by_one, integrated = (
        float(scores("0|1", "nll", method).values[removed].sum()) for method in ("exact", "EAP-IG")
    )
    assert together > 4 and one_by_one < 0.05 * together
    assert 0.8 * together < integrated < 1.6 * together


SOLVED = [
    ("units", "logit_diff", 45),
    ("tens", "logit_diff", 65),
    ("carry", "logit_diff", 30),
    ("hundreds", "logit_diff", 40),
    ("0|1", "logit_diff", 40),
    ("1|2", "logit_diff", 50),
    ("sum", "nll", 100),
]


@pytest.mark.parametrize(("kind", "metric", "edges"), SOLVED)
def test_a_part_of_the_172_edges_solves_the_task_and_random_ones_do_not(scores, right, kind, metric, edges):
    ranked = scores(kind, metric, "EAP-IG", SCORED)
    assert ranked.graph.n_edges == 172
    solved, too_small = (selection.top_n(ranked, n) for n in (edges, edges // 3))
    generator = torch.Generator().manual_seed(0)
    random = [controls.random_like(solved, generator) for _ in range(20)]
    share = right(kind, [solved, too_small, *random])
    assert share[0] >= 0.95 and share[1] <= 0.7
    assert share[2:].max() <= 0.25


def test_the_circuit_of_clean_gradients_fails_where_the_integrated_one_solves_the_task(scores, right):
    circuits = [selection.top_n(scores("units", "nll", method, SCORED), 50) for method in ("EAP-IG", "EAP")]
    integrated, clean_gradient = right("units", circuits)
    assert integrated >= 0.95 and clean_gradient <= 0.7


LEADING = {
    "units": {"m2->logits", "input->m0", "m0->m1", "m1->m2", "input->a0.h0<v>", "a0.h0->m0"},
    "tens": {"m2->logits", "input->m0", "input->a0.h0<v>", "a2.h0->m2"},
    "carry": {"m2->logits", "m1->m2", "input->m0", "a1.h0->m1", "m0->a1.h0<v>", "a1.h2->m1"},
    "0|1": {"m2->logits", "m1->m2", "input->m0", *(f"input->a0.h{head}<v>" for head in range(3))},
}


@pytest.mark.parametrize("kind", LEADING)
def test_the_leading_edges(scores, kind):
    exact = scores(kind, "logit_diff", "exact")
    best = selection.ranking(exact)[:10].tolist()
    names = {exact.graph.edge_name(*divmod(place, exact.graph.n_destinations)) for place in best}
    assert LEADING[kind] <= names


FIRST_LAYER = "a0.h0 a0.h1 a0.h2"


def test_the_first_layers_heads_bring_the_first_operand_to_the_second(right_without):
    assert right_without("units, 1st operand", "a0.h0 a0.h2") <= 0.05
    assert right_without("tens, 1st operand", "a0.h0 a0.h2") <= 0.1
    assert right_without("units, 2nd operand", "a0.h0 a0.h2", FIRST_LAYER).min() >= 0.95


def test_two_heads_carry_the_carry_and_nothing_else(right_without):
    both, leading, first_layer = right_without("carry", "a1.h0 a1.h2", "a1.h0", FIRST_LAYER)
    assert both <= 0.02 and leading <= 0.45
    # they read each operand's units for themselves: the sum that the first layer's heads prepare is not needed
    assert first_layer >= 0.95
    assert min(right_without(kind, "a1.h0 a1.h2") for kind in ("units", "tens")) >= 0.95


def test_two_heads_of_the_last_layer_bring_the_tens_and_not_the_carry(right_without):
    both, leading = right_without("tens", "a2.h0 a2.h1", "a2.h0")
    assert both <= 0.25 and leading <= 0.7
    assert min(right_without(kind, "a2.h0 a2.h1") for kind in ("carry", "hundreds")) >= 0.95


def test_what_these_heads_bring_is_in_their_values_and_not_in_where_they_look(model, right):
    """The tens come from what m0 and m1 write at the second tens digit; a corrupted pattern does no harm."""
    graph = model(ADDER).graph
    of_tens = cut(graph, [f"m{mlp}->a2.h{head}<v>" for mlp in (0, 1) for head in (0, 1)])
    looks = [
        f"{u}->a{layer}.h{h}<{x}>"
        for layer in (1, 2)
        for u in graph.sources[: graph.first_source(layer)]
        for h in range(3)
        for x in "qk"
    ]
    values, patterns = right("tens", [of_tens, cut(graph, looks)])
    assert values <= 0.3 and patterns >= 0.9
    of_carry = cut(graph, ["m0->a1.h0<v>", "m0->a1.h2<v>"])
    values, patterns = right("carry", [of_carry, cut(graph, looks)])
    assert values <= 0.5 and patterns >= 0.9


def test_the_carry_of_another_sum_makes_the_tens_wrong_by_one_and_leaves_the_other_digits(model):
    adder, pairs = model(ADDER), make_pairs("sum", 256)
    circuit = knocked_out(adder.graph, "a1.h0", "a1.h2")
    off = []
    for index in range(3):
        target = answer_token(pairs, ADDER.question, index)
        predicted = evaluation.run_circuit(PairRuns(adder.stream, target), circuit).argmax(dim=-1).cpu()
        off.append((predicted - target.clean[:, -1]) % 10)
    units, tens, hundreds = off
    assert (units == 0).double().mean() >= 0.98
    assert (tens == 0).double().mean() <= 0.75
    assert set(tens.tolist()) == {0, 1, 9}  # right, one too many, one too few
    assert (hundreds == 0).double().mean() >= 0.8


@pytest.mark.parametrize("kind", ["0|1", "1|2"])
def test_any_head_of_the_sorter_can_be_missed_but_not_its_first_layer(right_without, kind):
    heads = [[f"a{layer}.h{head}" for head in range(3)] for layer in range(3)]
    shares = right_without(
        kind, *(" ".join(layer) for layer in heads), *(h for layer in heads for h in layer)
    )
    assert shares[0] <= 0.25 and 0.25 <= shares[1] <= 0.75 and shares[2] >= 0.9
    assert shares[3:].min() >= 0.9


def test_the_sorters_first_layer_carries_counts_and_not_places(right_without):
    """What these heads write on the same symbols in another order serves as well."""
    assert right_without("reordered", FIRST_LAYER) >= 0.9
    assert right_without("list", FIRST_LAYER) <= 0.1


def test_where_the_adders_heads_look(model):
    question = torch.cartesian_prod(*[torch.arange(10)] * 4)
    tokens = torch.cat([question, torch.from_numpy(sum_digits(question.numpy())[:, :2])], dim=1)
    patterns = [pattern.mean(dim=0) for pattern in attention_patterns(model(ADDER), tokens)]
    tens_1, units_1, tens_2, units_2, sum_units = range(5)  # a digit is read off the token before it
    assert patterns[0][0, units_2, units_1] > 0.95 and patterns[0][2, units_2, units_1] > 0.85
    assert patterns[0][0, tens_2, tens_1] > 0.95 and patterns[0][2, tens_2, tens_1] > 0.85
    assert patterns[0][:, sum_units, [tens_1, tens_2]].sum(dim=1).min() > 0.95
    assert patterns[1][0, sum_units, [units_1, units_2]].sum() > 0.9
    assert patterns[2][0, sum_units, tens_2] > 0.95


def test_the_sorters_first_layer_looks_at_the_symbol_whose_turn_it_is(model, material):
    grid = torch.cartesian_prod(*[torch.arange(3)] * 6)
    question = grid[(torch.nn.functional.one_hot(grid).sum(dim=1) == 2).all(dim=1)]  # two of each symbol
    tokens = torch.cat([question, torch.from_numpy(in_order(question.numpy())[:, :5])], dim=1)
    pattern = attention_patterns(model(SORT), tokens)[0][:, :, 5:, :6]  # [90, heads, answer tokens, question]
    shares = torch.stack(
        [(pattern * (question == s)[:, None, None]).sum(dim=-1).mean(dim=0) for s in range(3)]
    )
    assert (shares[:, :, 0].argmax(dim=0) == 0).all() and (shares[:, :, 5].argmax(dim=0) == 2).all()
    assert shares[0, 2, 0] > 0.8 and shares[2, 2, 5] > 0.9
    rises = shares[2].diff(dim=1)
    assert (rises > 0).all()
    # the patterns are those of an independent implementation
    published = load_file(material / SORT.folder / "activations.safetensors")
    ours = attention_patterns(model(SORT), published["idx"].long())[0]
    torch.testing.assert_close(ours, published["attSm"], rtol=1e-4, atol=1e-5)


def test_kinds_of_pairs_have_circuits_of_their_own(model):
    """Carry against units is far below two samples of one kind; tens and units share most of their edges."""
    edges = {}
    for kind in ("units", "tens", "carry"):
        pairs = make_pairs(kind, 256)
        for half in range(2):
            sample = pairs.subset(torch.arange(half * 128, (half + 1) * 128))
            found = attribute(model(ADDER), sample, "logit_diff", **METHODS["EAP-IG"])
            edges[kind, half] = selection.top_n(found, 30).mask
    floor = min(comparison.jaccard(edges[kind, 0], edges[kind, 1]) for kind in ("units", "tens", "carry"))
    assert floor >= 0.8
    for kind in ("units", "tens"):
        assert comparison.jaccard(edges[kind, 0], edges["carry", 1]) <= 0.45
    assert comparison.jaccard(edges["units", 0], edges["tens", 1]) >= 0.65
