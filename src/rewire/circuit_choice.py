"""The circuit of one checkpoint, from its scores to a file."""

from __future__ import annotations

import logging
from pathlib import Path

from rewire.circuits import interchange, selection

log = logging.getLogger(__name__)


def select_circuit(scores: str | Path, fraction: float, path: str | Path) -> None:
    """Select the circuit of the best ``fraction`` of all edges by the file ``scores``, and write it to ``path``.

    Errors: InputError that names the file that cannot be read or written.
    """
    found, _ = interchange.read_scores(scores)
    edges = found.graph.n_edges
    circuit = selection.top_n(found, round(fraction * edges))
    log.info("%d of %d edges kept of %d requested", circuit.n_edges, edges, circuit.requested)
    interchange.write_eap_json(circuit, found, path)
