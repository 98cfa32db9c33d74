"""Runs that follow from a section, and what is refused in it."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sequential.worlds import section

from rewire.sequential.declared import masked, problem, run_of, runs
from rewire.sequential.tasks.declared import TASKS


def test_every_ordered_pair_is_a_run_and_every_task_is_trained_once():
    tasks = ["add", "sub", "max", "min", "digit_sum", "modulo", "abs", "average"]
    found = runs(section(tasks=tasks))
    assert sum(run.kind == "single" for run in found.values()) == 8
    second = [run for run in found.values() if run.kind == "sequential"]
    assert len(second) == 56 and len({run.tasks for run in second}) == 56
    assert all(run.first in tasks and run.second in tasks and run.first != run.second for run in second)


def test_a_variant_may_have_its_own_pairs():
    variants = {
        "kept": {"adapters": "continued", "pairs": None},
        "prior": {"adapters": "merged", "pairs": [["max", "add"]]},
    }
    found = runs(section(variants=variants, alone=["sub"], multi=[["add", "max"]]))
    assert list(found) == [
        "add", "max", "sub", "add-max/kept", "max-add/kept", "max-add/prior", "add+max",
    ]  # fmt: skip
    assert found["max-add/prior"].trained == ["add"]
    assert (found["add+max"].first, found["add+max"].trained) == (None, ["add", "max"])
    for run in found.values():
        assert run_of(run.kind, run.tasks, run.variant) == run


@given(st.integers(2, 6), st.integers(1, 40))
def test_a_number_of_pairs_is_so_many_of_the_sections_at_equal_distances(tasks, number):
    names = [f"t{i}" for i in range(tasks)]
    variants = {"every": {"adapters": "continued"}, "some": {"adapters": "continued", "pairs": number}}
    found = runs(section(tasks=names, variants=variants))
    every, some = ([run.tasks for run in found.values() if run.variant == name] for name in variants)
    places = [every.index(pair) for pair in some]
    assert len(places) == min(number, len(every)) and places == sorted(set(places)) and places[0] == 0
    assert max(np.diff([*places, len(every)])) - min(np.diff([*places, len(every)])) <= 1
    two = runs(section(tasks=names, variants=variants, pairs=[["t0", "t1"]]))
    assert {run.tasks for run in two.values() if run.variant == "some"} == {("t0", "t1")}


def test_sides_of_a_circuit_are_set_beside_what_is_trained_at_their_rate():
    side = {"adapters": "merged", "rate": 1}
    variants = {
        "other draw": side | {"circuit": "random", "seed": 1},
        "out": side | {"circuit": "outside"},
        "in": side | {"circuit": "inside"},
        "not run": side | {"circuit": "inside", "pairs": []},
        "prior": side,
        "kept": {"adapters": "continued", "rate": 1},
        "tenth": {"adapters": "continued", "rate": 0.1},
    }
    assert masked(section(variants=variants)) == (["in", "out", "other draw"], ["kept", "prior"])
    assert masked(section()) == ([], [])


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown task": ({"tasks": ["add", "adding"]}, ["sequential.tasks", "'adding'", "max, min, average"]),
    "summaries without articles": (
        {"tasks": ["add", "summarization"]},
        ["sequential.articles", "summarization"],
    ),
    "task alone and in pairs": ({"alone": ["add"]}, ["sequential.alone", "'add'"]),
    "pair of a task with itself": ({"pairs": [["add", "add"]]}, ["sequential.pairs", "'add' after itself"]),
    "the same in a variant": (
        {"variants": {"kept": {"adapters": "continued", "pairs": [["add", "add"]]}}},
        ["sequential.variants.kept.pairs", "'add' after itself"],
    ),
    "pair of a task that is not run": (
        {"pairs": [["add", "modulo"]]},
        ["sequential.pairs", "'modulo' is not one of sequential.tasks (add, max)"],
    ),
    "multi-task run likewise": ({"multi": [["add", "modulo"]]}, ["sequential.multi", "'modulo'"]),
    "tasks trained together that contradict each other": (
        {"tasks": ["add", "add_sub_inverted"], "multi": [["add", "add_sub_inverted"]]},
        ["sequential.multi", "'add'", "'add_sub_inverted'", "Find 1 + 1 =", "cannot be one"],
    ),
    "a task without its threshold": (
        {"learned": {"add": 0.9}},
        ["sequential.learned", "no accuracy for 'max'"],
    ),
    "a task alone without its threshold": (
        {"alone": ["sub"], "learned": {"add": 0.9, "max": 0.9}},
        ["sequential.learned", "no accuracy for 'sub'", "sequential.alone"],
    ),
    "a threshold without its task": (
        {"learned": {"add": 0.9, "max": 0.9, "modulo": 0.9}},
        ["sequential.learned", "'modulo' is not one of sequential.tasks and alone (add, max)"],
    ),
    "base knows a task": ({"base": {"tasks": ["add"], "prompts": 0}}, ["sequential.base.tasks", "'add'"]),
    "checkpoint at the end": ({"steps": [4]}, ["sequential.steps: 4", "(4)"]),
    "circuit of a continued adapter": (
        {"variants": {"inside": {"adapters": "continued", "circuit": "inside"}}},
        ["sequential.variants.inside.circuit", "merged"],
    ),
    "a seed where nothing is drawn": (
        {"variants": {"inside": {"adapters": "merged", "circuit": "inside", "seed": 1}}},
        ["sequential.variants.inside.seed", "random"],
    ),
    "judged by a variant that is not run": (
        {"judged": "tenth"},
        ["sequential.judged", "'tenth' is not one of sequential.variants (kept)"],
    ),
    "stacked on a whole model": (
        {"full": True, "variants": {"stacked": {"adapters": "stacked"}}},
        ["sequential.variants.stacked.adapters", "sequential.full"],
    ),
}


@pytest.mark.parametrize("changes, words", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_line_that_names_the_key(changes, words):
    said = problem(section(**changes), list(TASKS))
    assert said is not None and "\n" not in said
    assert [word for word in words if word not in said] == []


def test_the_section_itself_is_right():
    assert problem(section(), list(TASKS)) is None
    assert problem(section(tasks=["add", "add_sub"], multi=[["add", "add_sub"]]), list(TASKS)) is None
    assert problem(section(learned={"add": 0.9, "max": 0.5}), list(TASKS)) is None
    assert problem(section(judged="kept"), list(TASKS)) is None
    of_articles = section(tasks=["add", "summarization"], articles={"dataset": "newswire"})
    assert problem(of_articles, list(TASKS)) is None
