"""Measure every checkpoint of one run on its tasks: circuits, accuracy, faithfulness and change, as files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewire.checkpoints.names import checkpoint_name
from rewire.circuits.scores_file import read_scored_circuit
from rewire.errors import InputError
from rewire.evolution.changes import measures
from rewire.evolution.trajectory import read_trajectory
from rewire.models import Model, load
from rewire.sequential.declared import Run
from rewire.sequential.evolution import write_evolution
from rewire.sequential.measures import TaskPairs, circuit_columns, find_circuit, measured_columns, read_task
from rewire.sequential.tables import CROSS, MEASURES, OVERLAPS
from rewire.tables import read_table, write_table
from rewire.whole_file import replacing_folder

log = logging.getLogger(__name__)

Rows = list[dict[str, Any]]
# circuits that are set beside each other: the first task's before the second stage against the second's after it and
# alone, and each task's before against after
COMPARED = (
    ("first_before", "second_after"),
    ("first_before", "second_alone"),
    ("first_before", "first_after"),
    ("second_before", "second_after"),
    ("second_alone", "second_after"),
)


@dataclass(frozen=True)
class Measured:
    """What the measurement of a single run left behind at one ``step``: its table, and its folder of circuits."""

    table: str | Path
    circuits: str | Path
    step: int

    def row(self, task: str) -> dict[str, Any]:
        """Of that checkpoint. Errors: InputError that names the table without such a row."""
        for row in read_table(self.table, MEASURES.names).to_pylist():
            if (row["task"], row["step"]) == (task, self.step):
                return row
        raise InputError(f"{self.table}: no row of {task} at step {self.step}")

    def scores(self, task: str) -> Path:
        return scores_file(self.circuits, task, self.step)


def last_of(checkpoints: str | Path, steps: Sequence[int]) -> Path:
    """The last of a run's checkpoints."""
    return Path(checkpoints) / checkpoint_name(max(steps))


def scores_file(circuits: str | Path, task: str, step: int) -> Path:
    """Where a run's folder of circuits has the scores of a task at a step."""
    return Path(circuits) / task / f"{checkpoint_name(step)}.safetensors"


class Measurement:
    """The checkpoints of one run, one after the other. ``tasks``: name -> tables of its validation and test pairs.

    ``settings``: circuits, fraction, examples, random, resamples, alpha, controls, seed. ``circuits``: folder that scores are written to.
    """

    def __init__(
        self, run: Run, tasks: Mapping[str, Sequence[str | Path]], settings: Mapping[str, Any], circuits: Path
    ) -> None:
        self.run, self.settings, self.circuits = run, settings, circuits
        self.tasks: dict[str, TaskPairs] = {name: read_task(*paths) for name, paths in tasks.items()}
        self.files: dict[str, dict[int, Path]] = {name: {} for name in tasks}  # task -> step -> scores
        self.rows: Rows = []

    def measure(self, model: Model, task: str, step: int) -> None:
        """Find the task's circuit and add the row of this checkpoint."""
        path = self.files[task][step] = scores_file(self.circuits, task, step)
        circuit = find_circuit(model, self.tasks[task], self.settings, path)
        row = {
            **self.run.columns(),
            "task": task,
            "step": step,
            "checkpoint": checkpoint_name(step),
            **measured_columns(model, circuit, self.tasks[task], self.settings),
            "completeness_gap": read_scored_circuit(path)[0].completeness_gap,
        }
        log.info(
            "%s at step %d: accuracy %s, circuit %s", task, step, row["accuracy"], row["circuit_accuracy"]
        )
        self.rows.append(row)

    def take(self, measured: Measured, task: str, step: int) -> None:
        """The same from the checkpoint of a single run that is this run's ``step``."""
        self.files[task][step] = measured.scores(task)
        place = {**self.run.columns(), "step": step, "checkpoint": checkpoint_name(step)}
        self.rows.append(measured.row(task) | place)

    def sorted_rows(self) -> Rows:
        order = list(self.tasks)
        return sorted(self.rows, key=lambda row: (order.index(row["task"]), row["step"]))


def measure_run(
    run: Run,
    start: str | Path,
    checkpoints: str | Path,
    steps: Sequence[int],
    tasks: Mapping[str, Sequence[str | Path]],
    settings: Mapping[str, Any],
    outputs: Mapping[str, str | Path],
    base: Mapping[str, Measured] | None = None,
) -> None:
    """Measure a single or a multi-task run: what it ``start``ed from as step 0, and ``checkpoints`` / step-000060 ...

    ``base``: of a multi-task run, each task's single run, whose step 0 is this run's; what it measured is taken from it.
    ``outputs``: circuits (a folder), measures (MEASURES), and those of ``evolution.write_evolution``. Others: see ``Measurement``.
    """
    with replacing_folder(outputs["circuits"]) as partial:
        found = Measurement(run, tasks, settings, partial)
        for task, measured in (base or {}).items():
            found.take(measured, task, 0)
        for step in steps if base else (0, *steps):
            model = load(start if step == 0 else Path(checkpoints) / checkpoint_name(step))
            for task in tasks:
                found.measure(model, task, step)
        write_table(outputs["measures"], found.sorted_rows(), MEASURES)
        write_evolution(run, found.files, settings, outputs)


def measure_second_stage(
    run: Run,
    start: str | Path,
    checkpoints: str | Path,
    steps: Sequence[int],
    tasks: Mapping[str, Sequence[str | Path]],
    first: Measured,
    alone: str | Path,
    settings: Mapping[str, Any],
    outputs: Mapping[str, str | Path],
) -> None:
    """Measure a sequential run on both tasks. ``first``: the first task's single run, and ``alone``: the scores file of the
    second task's circuit in its own, both at the last step.

    What the single runs measured is taken from them: the first task at step 0, and the second task's circuit alone.
    ``outputs``: also cross (CROSS) and overlaps (OVERLAPS). Others: as ``measure_run``.
    """
    one, two = run.tasks
    with replacing_folder(outputs["circuits"]) as partial:
        found = Measurement(run, tasks, settings, partial)
        check_as_many(found, tasks)
        crossed: Rows = []
        found.take(first, one, 0)
        for step in sorted(
            steps, reverse=True
        ):  # the last first: its circuit is judged by the model at step 0
            model = load(Path(checkpoints) / checkpoint_name(step))
            for task in tasks:
                found.measure(model, task, step)
            if step == max(steps):
                crossed.append(cross_row(found, model, "first", one, two, 0, step))
        model = load(start)
        found.measure(model, two, 0)
        crossed.append(cross_row(found, model, "second", two, one, max(steps), 0))
        write_table(outputs["measures"], found.sorted_rows(), MEASURES)
        write_evolution(run, found.files, settings, outputs)
        write_table(outputs["cross"], crossed, CROSS)
        write_table(outputs["overlaps"], overlaps(found, alone, max(steps)), OVERLAPS)


def check_as_many(found: Measurement, tasks: Mapping[str, Sequence[str | Path]]) -> None:
    """InputError, naming the table, for tasks whose circuits would be of different numbers of examples: no overlap has a value."""
    asked = found.settings["examples"]
    one, two = found.run.tasks
    scored = {task: min(asked, len(found.tasks[task].validation)) for task in (one, two)}
    if scored[one] != scored[two]:
        less, more = sorted((one, two), key=lambda task: scored[task])
        raise InputError(
            f"{tasks[less][0]}: {scored[less]} rows to find circuits of {less} on, and {scored[more]} of {more}: "
            "circuits are compared on as many of both"
        )


def cross_row(
    found: Measurement, model: Model, of: str, task: str, judged: str, found_at: int, step: int
) -> dict[str, Any]:
    """The circuit of ``task`` at ``found_at`` on the test prompts of task ``judged``, by the ``model`` at ``step``."""
    _, circuit = read_scored_circuit(found.files[task][found_at])
    own = next(row for row in found.rows if (row["task"], row["step"]) == (judged, step))
    return {
        **found.run.columns(),
        "circuit_of": of,
        "judged_on": "second" if of == "first" else "first",
        **circuit_columns(model, circuit, found.tasks[judged].test, found.settings),
        "own_normalised": own["normalised"],
        "own_kl_percentage": own["kl_percentage"],
    }


def overlaps(found: Measurement, alone: str | Path, last: int) -> Rows:
    """Rows of OVERLAPS. Circuits of two tasks are of as many examples each, resampled by the same draws: what is
    independent stays so."""
    one, two = found.run.tasks
    files = {
        "first_before": found.files[one][0],
        "first_after": found.files[one][last],
        "second_before": found.files[two][0],
        "second_after": found.files[two][last],
        "second_alone": alone,
    }
    trajectory = read_trajectory(files, dict.fromkeys(files, 0), found.settings)
    resampled = trajectory.resample(COMPARED, floors=False)
    rows: Rows = []
    for before, after in COMPARED:
        place = {**found.run.columns(), "before": before, "after": after}
        measured = measures(trajectory, before, after, resampled)
        rows += [place | {"measure": name} | measured[name] for name in measured]
    return rows
