"""The scores of one checkpoint's edges, from its pairs to a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewire.circuits import attribution, interchange
from rewire.models import load
from rewire.pairs import read_pairs

log = logging.getLogger(__name__)


def find_scores(
    checkpoint: str | Path, pairs: str | Path, settings: Mapping[str, Any], path: str | Path
) -> None:
    """Score every edge of the model in ``checkpoint`` on ``pairs``, and write the scores to ``path``.

    ``settings``: method, steps, grid, metric, keep_examples (each example's scores in the file), batch_tokens.
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
    log.info("%d edges scored; completeness gap %s", model.graph.n_edges, scores.completeness_gap)
    interchange.write_scores(scores, None, path)
