"""Scores files of three checkpoints of a made-up model: the base, the same on other data, and one with other wires."""

from collections.abc import Callable
from pathlib import Path

import pytest
from circuits.score_worlds import GRAPH, SIZE, effects, examples, rewired
from torch import Tensor

from rewire.circuits.ensembles import unpacked
from rewire.circuits.graph import Graph
from rewire.circuits.interchange import write_scores
from rewire.circuits.selection import Scores, top_n

STEPS = {"base": 0, "step-000010": 10, "final": 20}
SETTINGS = {
    "fraction": SIZE / GRAPH.n_edges,
    "resamples": 100,
    "random": 20,
    "controls": {"same_model": 20, "rewired": 5},
    "alpha": 0.05,
    "seed": 0,
}


def save_scores(path: Path, scores: Tensor, graph: Graph = GRAPH, keep: bool = True) -> Path:
    """A scores file of per-example ``scores`` [N, edges], with these or with their mean alone."""
    mean = unpacked(scores.mean(dim=0)[None], graph)[0]
    found = Scores(mean, graph, "EAP", "nll", 0.1, examples=scores if keep else None)
    write_scores(found, top_n(found, 20), path)
    return path


@pytest.fixture(scope="session")
def measured() -> dict[str, Tensor]:
    """Per-example scores [24, edges] of each checkpoint."""
    true = {"base": effects(0), "step-000010": effects(0), "final": rewired(effects(0), 0)}
    return {name: examples(scores, 24, seed) for seed, (name, scores) in enumerate(true.items())}


@pytest.fixture
def files(tmp_path, measured) -> Callable[..., dict[str, Path]]:
    """Writes the scores files of the checkpoints, with the scores of each example unless ``keep`` is false."""

    def write(keep: bool = True) -> dict[str, Path]:
        return {
            name: save_scores(tmp_path / f"{name}.safetensors", scores, keep=keep)
            for name, scores in measured.items()
        }

    return write
