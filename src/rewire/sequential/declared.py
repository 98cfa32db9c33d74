"""What the section ``sequential`` of the config may say, and which runs follow from it.

Plain Python: a config is checked before any environment exists. Definitions: docs/definitions.md, "Sequential fine-tuning".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from rewire.errors import InputError
from rewire.sequential.tasks.declared import TASKS
from rewire.sequential.tasks.examples import DEFAULTS, check_agreement

SINGLE, SEQUENTIAL, MULTI = "single", "sequential", "multi"
TOGETHER = "+"  # between the tasks of a multi-task run
CONTINUED, STACKED, MERGED = "continued", "stacked", "merged"
INSIDE, OUTSIDE, RANDOM = "inside", "outside", "random"
ALL = "all"
SMALL = 12  # numbers up to which tasks are compared
SUMMARIZATION = "summarization"  # the task that is made of articles, not generated


@dataclass(frozen=True)
class Run:
    """One training: ``tasks`` in the order of their names in it. ``variant``: of a sequential run, how its second stage
    is trained; the stage is on the last task, after the run ``first``.
    """

    name: str
    kind: str
    tasks: tuple[str, ...]
    variant: str | None = None

    @property
    def first(self) -> str | None:
        """The task of the first stage; None for tasks that are trained together."""
        return None if self.kind == MULTI else self.tasks[0]

    @property
    def second(self) -> str | None:
        """The task of the second stage, of a sequential run alone."""
        return self.tasks[1] if self.kind == SEQUENTIAL else None

    @property
    def trained(self) -> list[str]:
        """The tasks that this run's own training is on."""
        return [self.tasks[1]] if self.kind == SEQUENTIAL else list(self.tasks)

    def columns(self) -> dict[str, Any]:
        """What tells this run from others in every table (``tables.RUN``)."""
        return {
            "run": self.name,
            "kind": self.kind,
            "variant": self.variant,
            "first": self.first,
            "second": self.second,
            "tasks": self.trained,
        }


def single(task: str) -> Run:
    return Run(task, SINGLE, (task,))


def sequential(first: str, second: str, variant: str) -> Run:
    return Run(f"{first}-{second}/{variant}", SEQUENTIAL, (first, second), variant)


def multi(tasks: Sequence[str]) -> Run:
    return Run(TOGETHER.join(tasks), MULTI, tuple(tasks))


def run_of(kind: str, tasks: Sequence[str], variant: str | None = None) -> Run:
    """The run of that kind."""
    if kind == SEQUENTIAL:
        assert variant is not None
        return sequential(tasks[0], tasks[1], variant)
    return single(tasks[0]) if kind == SINGLE else multi(tasks)


def pairs_of(settings: Mapping[str, Any], variant: str) -> list[tuple[str, str]]:
    """The ordered pairs of tasks that a variant is run on: its own, else (or if they are None) the section's; ``all``: every one.

    A number: so many of the section's, at equal distances in their list.
    """
    own = settings["variants"][variant].get("pairs")
    whole = settings["pairs"] if own is None or isinstance(own, int) else own
    every = list(permutations(settings["tasks"], 2))
    pairs = every if whole == ALL else [(first, second) for first, second in whole]
    if isinstance(own, int) and own < len(pairs):
        return [pairs[i * len(pairs) // own] for i in range(own)]
    return pairs


def every_task(settings: Mapping[str, Any]) -> list[str]:
    """The tasks that are trained by themselves: those of the pairs, and those in no pair."""
    return [*settings["tasks"], *settings["alone"]]


def runs(settings: Mapping[str, Any]) -> dict[str, Run]:
    """Every run of the section, by name: single ones, ordered pairs by variant, and tasks together."""
    found = [single(task) for task in every_task(settings)]
    for variant in sorted(settings["variants"]):  # whatever their order in the configs that are put together
        found += [sequential(first, second, variant) for first, second in pairs_of(settings, variant)]
    found += [multi(tasks) for tasks in settings["multi"]]
    return {run.name: run for run in found}


def masked(settings: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The variants that train a side of the first task's circuit alone, and the others of the same rates."""
    declared = {name: one for name, one in settings["variants"].items() if pairs_of(settings, name)}
    sides = [name for name in declared if "circuit" in declared[name]]
    rates = {declared[name]["rate"] for name in sides}
    order = (INSIDE, OUTSIDE, RANDOM)
    others = sorted(name for name in set(declared) - set(sides) if declared[name]["rate"] in rates)
    return sorted(sides, key=lambda name: (order.index(declared[name]["circuit"]), name)), others


def problem(settings: Mapping[str, Any], known: Collection[str]) -> str | None:
    """What is wrong with the section, in one line that names the key: a task that is not ``known``, a task after itself,
    settings that contradict each other.
    """
    tasks = settings["tasks"]
    if "articles" in settings:
        known = [*known, SUMMARIZATION]
    elif SUMMARIZATION in every_task(settings):
        return f"sequential.articles: the task {SUMMARIZATION} needs a dataset"
    for key, chosen in (
        ("tasks", tasks),
        ("alone", settings["alone"]),
        ("base.tasks", settings["base"]["tasks"]),
    ):
        for task in chosen:
            if task not in known:
                return f"sequential.{key}: {task!r} is not a task; there are {', '.join(known)}"
    if twice := sorted(set(tasks) & set(settings["alone"])):
        return f"sequential.alone: {twice[0]!r} is one of sequential.tasks too"
    if given := sorted({*every_task(settings)} & set(settings["base"]["tasks"])):
        return f"sequential.base.tasks: {given[0]!r} is fine-tuned on too; a base would know it beforehand"
    if found := wrong_pair(settings["pairs"], tasks):
        return f"sequential.pairs: {found}"
    for number, together in enumerate(settings["multi"]):
        if sorted(together) in map(sorted, settings["multi"][:number]):
            return f"sequential.multi[{number}]: {TOGETHER.join(together)} is there twice"
        if outside := [task for task in together if task not in tasks]:
            return f"sequential.multi: {outside[0]!r} is not one of sequential.tasks ({', '.join(tasks)})"
        if found := disagreement(together, settings["numbers"]):
            return f"sequential.multi: {found}"
    if found := wrong_thresholds(settings["learned"], every_task(settings)):
        return f"sequential.learned: {found}"
    if settings["judged"] not in {None, *settings["variants"]}:
        there = ", ".join(settings["variants"])
        return f"sequential.judged: {settings['judged']!r} is not one of sequential.variants ({there})"
    last = settings["training"]["steps"]
    if late := [step for step in settings["steps"] if step >= last]:
        return f"sequential.steps: {max(late)} is not below sequential.training.steps ({last})"
    for name, declared in settings["variants"].items():
        if found := wrong_pair(declared.get("pairs"), tasks):
            return f"sequential.variants.{name}.pairs: {found}"
        if found := contradiction(declared, settings):
            return f"sequential.variants.{name}.{found}"
    return None


def threshold(learned: float | Mapping[str, float], task: str) -> float:
    """The validation accuracy from which on ``task`` counts as learned: the setting ``learned`` is one for all, or one a task."""
    return learned[task] if isinstance(learned, Mapping) else learned


def wrong_thresholds(learned: Any, tasks: Sequence[str]) -> str | None:
    if not isinstance(learned, Mapping):
        return None
    if missing := [task for task in tasks if task not in learned]:
        return f"no accuracy for {missing[0]!r}; one a task means one for each of sequential.tasks and sequential.alone"
    if other := [task for task in learned if task not in tasks]:
        return f"{other[0]!r} is not one of sequential.tasks and alone ({', '.join(tasks)})"
    return None


def wrong_pair(chosen: Any, tasks: Sequence[str]) -> str | None:
    for first, second in chosen if isinstance(chosen, list) else []:
        for task in (first, second):
            if task not in tasks:
                return f"{task!r} is not one of sequential.tasks ({', '.join(tasks)})"
        if first == second:
            return f"{first!r} after itself is no pair of tasks"
    return None


def disagreement(together: Sequence[str], numbers: Mapping[str, Any]) -> str | None:
    """A prompt that two tasks trained together answer differently; among small numbers, where rules part already."""
    parts = [TASKS[task] for task in together if task != SUMMARIZATION]
    settings: dict[str, Any] = {**DEFAULTS, **numbers}
    settings["largest"] = min(settings["largest"], SMALL)
    try:
        for place, part in enumerate(parts):
            check_agreement(part, parts[:place], settings)
    except InputError as error:
        return str(error)
    return None


def contradiction(declared: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    adapters = declared["adapters"]
    if "circuit" in declared and adapters != MERGED:
        return f"circuit: trains a new adapter on merged weights, adapters must be {MERGED}, not {adapters}"
    if "seed" in declared and declared.get("circuit") != RANDOM:
        return f"seed: is of the heads and MLPs that are drawn, and none are without circuit: {RANDOM}"
    if settings["full"] and adapters == STACKED:
        return f"adapters: {STACKED} needs a first adapter, and with sequential.full there is none"
    return None
