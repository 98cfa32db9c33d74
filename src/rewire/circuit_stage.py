"""The circuit of one checkpoint, from its pairs to files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.circuits import attribution, interchange, selection
from rewire.models import load
from rewire.pairs import read_pairs

log = logging.getLogger(__name__)


def find_circuit(
    checkpoint: str | Path,
    pairs: str | Path,
    settings: Mapping[str, Any],
    scores_path: str | Path,
    json_path: str | Path,
) -> None:
    """Score every edge of the model in ``checkpoint`` and select its circuit.

    ``settings``: method, steps, grid, metric, fraction (share of the graph's edges in the circuit),
    keep_examples (each example's scores in the scores file), batch_tokens.
    """
    model = load(checkpoint)
    _, examples = read_pairs(pairs)
    scores = attribution.attribute(
        model,
        examples,
        metric=settings["metric"],
        method=settings["method"],
        steps=settings["steps"],
        grid=settings["grid"],
        batch_tokens=settings["batch_tokens"],
        examples=settings["keep_examples"],
    )
    circuit = selection.top_n(scores, round(settings["fraction"] * model.graph.n_edges))
    log.info(
        "%d of %d edges kept of %d requested; completeness gap %s",
        circuit.n_edges,
        model.graph.n_edges,
        circuit.requested,
        scores.completeness_gap,
    )
    interchange.write_scores(scores, circuit, scores_path)
    interchange.write_eap_json(circuit, scores, json_path)
