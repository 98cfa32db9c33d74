"""How much of the model's behaviour a circuit restores, beside random circuits of its size and layer profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rewire import statistics
from rewire.circuits import controls, evaluation, interchange, selection
from rewire.circuits.selection import Circuit, Scores
from rewire.models import load
from rewire.pairs import read_pairs
from rewire.tables import schema, write_table

METRICS = ("nll", "kl", "kl_corrupted")
SCHEMA = schema(
    circuit="string",
    draw="int32",
    fraction="float64",
    requested_edges="int32",
    edges="int32",
    nodes="int32",
    live_edges="int32",
    normalised="float64",
    normalised_low="float64",
    normalised_high="float64",
    kl="float64",
    kl_percentage="float64",
    examples="int32",
    nll="list<double>",
)


def write_faithfulness(
    checkpoint: str | Path,
    pairs: str | Path,
    scores_path: str | Path,
    settings: Mapping[str, Any],
    path: str | Path,
) -> None:
    """Evaluate the circuit at every fraction of ``settings["fractions"]`` and its random counterparts.

    ``settings``: fractions, random (draws a fraction), seed, batch_tokens.
    Rows: ``circuit`` is ``circuit`` or ``random`` (``draw`` 0, 1, ...), measures as in docs/definitions.md; and the
    whole model's ``clean`` and ``corrupted`` runs, which have an ``nll`` for each example alone.
    """
    model = load(checkpoint)
    _, examples = read_pairs(pairs)
    scores, _ = interchange.read_scores(scores_path)
    named = sweep(scores, settings)
    circuits = [circuit for _, _, _, circuit in named]
    values = evaluation.evaluate(model, circuits, examples, METRICS, settings["batch_tokens"])
    whole = evaluation.evaluate_baselines(model, examples, METRICS, settings["batch_tokens"])
    rows = []
    for number, (name, draw, fraction, circuit) in enumerate(named):
        measured = {metric: values[metric][number].double().numpy() for metric in METRICS}
        rows.append(
            {
                "circuit": name,
                "draw": draw,
                "fraction": fraction,
                "requested_edges": circuit.requested,
                "edges": circuit.n_edges,
                "nodes": int(circuit.nodes.sum()),
                "live_edges": int(selection.prune(circuit.mask, circuit.graph).sum()),
                **measures(measured, whole),
                "examples": len(examples),
                "nll": measured["nll"].tolist(),
            }
        )
    for name in ("clean", "corrupted"):  # the whole model, for scale: f is 1 and 0 there
        rows.append(
            {"circuit": name, "draw": 0, "examples": len(examples), "nll": whole[name]["nll"].tolist()}
        )
    write_table(path, rows, SCHEMA)


def sweep(scores: Scores, settings: Mapping[str, Any]) -> list[tuple[str, int, float, Circuit]]:
    """(kind, draw, fraction, circuit) for each fraction: the circuit, then ``random`` matched random ones."""
    generator = torch.Generator().manual_seed(settings["seed"])
    out = []
    for fraction in settings["fractions"]:
        circuit = selection.top_n(scores, round(fraction * scores.graph.n_edges))
        out.append(("circuit", 0, fraction, circuit))
        for draw in range(settings["random"]):
            out.append(("random", draw, fraction, controls.random_like(circuit, generator)))
    return out


def normalised(m: Any, clean: Any, corrupted: Any, axis: int = -1) -> Any:
    """(m - b') / (b - b'): 1 for the whole model, 0 for the corrupted one; means over ``axis``."""
    base = np.mean(corrupted, axis=axis)
    return (np.mean(m, axis=axis) - base) / (np.mean(clean, axis=axis) - base)


def measures(circuit: Mapping[str, Any], whole: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The faithfulness measures of one circuit from per-example values [n] of nll, kl and kl_corrupted."""
    clean, corrupted = (whole[run]["nll"].double().numpy() for run in ("clean", "corrupted"))
    faithful = statistics.estimate([circuit["nll"], clean, corrupted], normalised, resamples=1000)
    far = float(np.mean(whole["clean"]["kl_corrupted"].double().numpy()))  # KL(corrupted || whole)
    reached = float(np.mean(circuit["kl_corrupted"]))  # KL(corrupted || circuit)
    return {
        "normalised": faithful.value,
        "normalised_low": faithful.low,
        "normalised_high": faithful.high,
        "kl": float(np.mean(circuit["kl"])),
        "kl_percentage": (1 - abs(far - reached) / far) * 100 if far else float("nan"),
    }
