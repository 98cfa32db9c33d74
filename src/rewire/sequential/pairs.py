"""One row a sequential run: what the second task did to the first one. Definitions: "Sequential fine-tuning"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewire.errors import InputError
from rewire.faithfulness.resamples import Resamples, ratio
from rewire.sequential.declared import Run, threshold
from rewire.sequential.edge_centric import put_together
from rewire.sequential.tables import CHECKPOINTS, CROSS, EDGE_CENTRIC, EVOLUTION, MEASURES, OVERLAPS, PAIRS
from rewire.statistics import Array
from rewire.tables import read_table, write_table

Rows = list[dict[str, Any]]
JACCARDS = ("edge_jaccard", "node_jaccard", "weighted_jaccard")
# (before, after) of OVERLAPS -> ending of the columns
OVERLAP_COLUMNS = {
    ("first_before", "second_after"): "",
    ("first_before", "second_alone"): "_alone",
    ("first_before", "first_after"): "_kept",
}


def write_pairs_table(
    runs: Sequence[Run],
    files: Mapping[str, Mapping[str, str | Path]],
    settings: Mapping[str, Any],
    outputs: Mapping[str, str | Path],
) -> None:
    """Put the tables of all ``runs`` together; a row a sequential one. ``files``: run -> measures, EVOLUTION, and of a
    sequential one cross, overlaps, training.

    ``settings``: learned (see ``declared.threshold``), seed, rates (variant -> what the learning rate is multiplied by).
    ``outputs``: checkpoints (CHECKPOINTS), EVOLUTION, pairs (PAIRS).
    Errors: InputError that names the table that lacks a task or step, or whose test examples differ.
    """
    measured = {run.name: read_table(files[run.name]["measures"], MEASURES.names).to_pylist() for run in runs}
    every = [row | {"learned": reached(row, settings)} for run in runs for row in measured[run.name]]
    write_table(outputs["checkpoints"], every, CHECKPOINTS)
    for name, schema in EVOLUTION.items():
        found = [row for run in runs for row in read_table(files[run.name][name], schema.names).to_pylist()]
        write_table(outputs[name], put_together(found) if schema is EDGE_CENTRIC else found, schema)
    rows = [
        pair_row(
            run,
            {name: task_rows(measured, files, *place) for name, place in places(run).items()},
            read_table(files[run.name]["cross"], CROSS.names).to_pylist(),
            read_table(files[run.name]["overlaps"], OVERLAPS.names).to_pylist(),
            settings,
        )
        | {"parameters": parameters(files[run.name]["training"])}
        for run in runs
        if run.second is not None
    ]
    write_table(outputs["pairs"], rows, PAIRS)


def files_of(runs: Sequence[Run], tables: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """run -> table -> path, from the paths of each table in the order of the runs; all but measures and EVOLUTION have
    sequential runs alone."""
    second = [run.name for run in runs if run.second is not None]
    both = ("measures", *EVOLUTION)
    out: dict[str, dict[str, str]] = {run.name: {} for run in runs}
    for table, paths in tables.items():
        names = list(out) if table in both else second
        for name, path in zip(names, paths, strict=True):
            out[name][table] = path
    return out


def reached(row: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether the task of a row of MEASURES had reached its threshold there."""
    return bool(row["validation_accuracy"] >= threshold(settings["learned"], row["task"]))


def parameters(training: str | Path) -> int:
    """How many a stage trained. Errors: InputError that names its table without a row."""
    found = read_table(training, ["parameters"])["parameters"].to_pylist()
    if not found:
        raise InputError(f"{training}: no row")
    return int(found[0])


def places(run: Run) -> dict[str, tuple[str, str]]:
    """Whose rows a pair is made of: name -> (run, task)."""
    first, second = run.tasks
    return {"first": (run.name, first), "second": (run.name, second), "alone": (second, second)}


def task_rows(measured: Mapping[str, Rows], files: Mapping[str, Any], run: str, task: str) -> Rows:
    """The rows of one task in one run, by step."""
    rows = sorted((row for row in measured[run] if row["task"] == task), key=lambda row: row["step"])
    if len(rows) < 2:
        raise InputError(f"{files[run]['measures']}: {len(rows)} checkpoints of {task}, expected two or more")
    return rows


def pair_row(
    run: Run, rows: Mapping[str, Rows], crossed: Rows, overlapping: Rows, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Columns of PAIRS of one run. ``rows``: of the first and the second task in it, and of the second one alone."""
    before, after = rows["first"][0], rows["first"][-1]
    start, end, alone = rows["second"][0], rows["second"][-1], rows["alone"][-1]
    needed = [threshold(settings["learned"], task) for task in run.tasks]
    learned = before["validation_accuracy"] >= needed[0]
    own = paired([before, after], settings, run)
    other = paired([start, end, alone], settings, run)
    row: dict[str, Any] = {
        **run.columns(),
        "learned": learned,
        "second_learned": end["validation_accuracy"] >= needed[1],
        "threshold": needed[0],
        "second_threshold": needed[1],
        **columns("first_accuracy_before", own(lambda b, a: b)),
        **columns("first_accuracy_after", own(lambda b, a: a)),
        **columns("second_accuracy_before", other(lambda s, e, o: s)),
        **columns("second_accuracy_after", other(lambda s, e, o: e)),
        **columns("second_accuracy_alone", other(lambda s, e, o: o)),
        "examples": before["examples"],
    }
    if settings["rates"][run.variant] == 1:  # the second task alone is trained at the full rate
        row |= columns("gain", other(lambda s, e, o: e - o))
    if learned:  # of what was never learned nothing can be forgotten
        row |= columns("forgetting", own(lambda b, a: ratio(b - a, b)))
    for found in crossed:
        name = f"{found['circuit_of']}_on_{found['judged_on']}"
        row |= renamed(found, "normalised", name)
        row |= renamed(found, "kl_percentage", f"{name}_kl_percentage")
        row |= renamed(found, "random_normalised", f"{name}_random")
    for found in overlapping:
        ending = OVERLAP_COLUMNS.get((found["before"], found["after"]))
        if ending is not None and found["measure"] in JACCARDS:
            name = found["measure"] + ending
            row |= {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return row


def paired(rows: Rows, settings: Mapping[str, Any], run: Run) -> Any:
    """A function from a statistic of the accuracies of ``rows`` to its value and interval [3], all resampled together."""
    sizes = {len(row["correct"]) for row in rows}
    if len(sizes) != 1:
        raise InputError(
            f"{run.name}: test examples {sorted(sizes)} of one task, expected the same everywhere"
        )
    resamples = Resamples(sizes.pop(), seed=settings["seed"])
    means = [resamples.means(np.array(row["correct"])) for row in rows]

    def interval(statistic: Any) -> Array:
        return resamples.interval(statistic(*means))

    return interval


def columns(name: str, measured: Array) -> dict[str, float]:
    """[3] as a value and its interval."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, measured), strict=True))


def renamed(row: Mapping[str, Any], name: str, to: str) -> dict[str, Any]:
    """A value and its interval under another name."""
    return {to + end: row[name + end] for end in ("", "_low", "_high")}
