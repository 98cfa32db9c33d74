"""How much of the model's behaviour circuits of growing size restore, each beside its nulls.

Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rewire.circuits import evaluation
from rewire.circuits.selection import Scores
from rewire.faithfulness import areas
from rewire.faithfulness.cross_fitting import cross_fits, score, scores_with_examples
from rewire.faithfulness.measures import METRICS, as_arrays, columns, measures
from rewire.faithfulness.resamples import Resamples
from rewire.faithfulness.sweep import Point, curve, described, evaluate, random_counterparts
from rewire.models import Model, load
from rewire.pairs import TokenPairs, read_pairs
from rewire.statistics import Array
from rewire.tables import schema, write_table

SCHEMA = schema(
    circuit="string",
    ranking="string",
    draw="int32",
    fraction="float64",
    requested_edges="int32",
    edges="float64",
    nodes="float64",
    live_edges="float64",
    normalised="float64",
    normalised_low="float64",
    normalised_high="float64",
    nll_excess="float64",
    nll_excess_low="float64",
    nll_excess_high="float64",
    kl="float64",
    kl_low="float64",
    kl_high="float64",
    kl_reverse="float64",
    kl_reverse_low="float64",
    kl_reverse_high="float64",
    kl_percentage="float64",
    kl_percentage_low="float64",
    kl_percentage_high="float64",
    accuracy="float64",
    accuracy_low="float64",
    accuracy_high="float64",
    accuracy_ratio="float64",
    accuracy_ratio_low="float64",
    accuracy_ratio_high="float64",
    examples="int32",
    nll="list<double>",
    kl_corrupted="list<double>",
)
PER_EXAMPLE = (
    "nll",
    "kl_corrupted",
)  # what f and kl_percentage are made of, to compare circuits example by example

Rows = list[dict[str, Any]]


def write_faithfulness(
    checkpoint: str | Path,
    pairs: str | Path,
    other_task: str | Path | None,
    scores_path: str | Path,
    circuits: Mapping[str, Any],
    settings: Mapping[str, Any],
    curve_path: str | Path,
    areas_path: str | Path,
) -> None:
    """Evaluate circuits at every fraction of ``settings["fractions"]``, and the areas under their curves.

    ``other_task``: pairs of another task on the same articles, if there is one; its circuit is judged on ``pairs``.
    ``scores_path``: the checkpoint's edge scores on ``pairs``, or on the first of them, which are then all that count;
    ``circuits``: the settings that they were made with.
    ``settings``: fractions, random (draws a circuit), folds, seed, batch_tokens.
    Rows of the curve: each kind of circuit (``sweep.Point``), and the whole model's ``clean`` and ``corrupted`` runs.
    Errors: InputError for fewer than 2 pairs.
    """
    model = load(checkpoint)
    _, examples = read_pairs(pairs)
    fractions = sorted(settings["fractions"])
    scores = scores_with_examples(scores_path, model, examples, circuits)
    assert scores.examples is not None
    examples = examples.subset(torch.arange(len(scores.examples)))
    held, held_values = held_out(model, examples, scores, fractions, settings)
    points = curve("circuit", scores, fractions)
    ranked = [point for point in points if point.ranking == "absolute"]
    points += random_counterparts(ranked, settings["random"], settings["seed"])
    if other_task is not None:
        points += curve("other-task", score(model, read_pairs(other_task)[1], circuits), fractions)
    values = evaluate(model, points, examples, settings["batch_tokens"])
    whole = {
        run: as_arrays(of_run)
        for run, of_run in evaluation.evaluate_baselines(
            model, examples, METRICS, settings["batch_tokens"]
        ).items()
    }
    resamples = Resamples(len(examples), seed=settings["seed"])
    rows = table_rows(held, held_values, whole, resamples)
    rows += table_rows([described([point]) for point in points], values, whole, resamples)
    runs = {metric: np.stack([whole[run][metric] for run in ("clean", "corrupted")]) for metric in METRICS}
    scale = table_rows(
        [{"circuit": run, "draw": 0} for run in ("clean", "corrupted")], runs, whole, resamples
    )
    write_table(areas_path, areas.rows(rows, whole, resamples), areas.SCHEMA)
    write_table(curve_path, rows + scale, SCHEMA)


def held_out(
    model: Model,
    pairs: TokenPairs,
    scores: Scores,
    fractions: Sequence[float],
    settings: Mapping[str, Any],
) -> tuple[Rows, dict[str, Array]]:
    """The cross-fitted curve: columns of each of its points, and METRICS [points, examples].

    Each example's metrics are those of the circuit that the other folds' examples scored.
    """
    found: list[list[Point]] = []
    values: dict[str, Array] = {}
    for index, fitted in cross_fits(scores, settings["folds"], settings["seed"]):
        points = curve("held-out", fitted, fractions)
        part = evaluate(model, points, pairs.subset(index), settings["batch_tokens"])
        for metric in METRICS:
            values.setdefault(metric, np.empty((len(points), len(pairs))))[:, index.numpy()] = part[metric]
        found.append(points)
    return [described(same) for same in zip(*found, strict=True)], values


def table_rows(
    described_circuits: Rows,
    values: Mapping[str, Array],
    whole: Mapping[str, Mapping[str, Array]],
    resamples: Resamples,
) -> Rows:
    """A row a circuit: its columns, its measures with intervals, and the PER_EXAMPLE metrics."""
    measured = measures(values, whole["clean"], whole["corrupted"], resamples)
    return [
        {
            **row,
            **columns(measured, number),
            "examples": resamples.n,
            **{metric: values[metric][number].tolist() for metric in PER_EXAMPLE},
        }
        for number, row in enumerate(described_circuits)
    ]
