"""The edge-centric hypothesis for every comparison of a run, beside cases whose answer is known. Definitions: "Evolution"."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from rewire import statistics
from rewire.circuits import edge_centric
from rewire.evolution.trajectory import Trajectory
from rewire.statistics import Estimate
from rewire.tables import schema

log = logging.getLogger(__name__)

SCHEMA = schema(
    checkpoint="string",
    step="int64",
    reference="string",
    reference_checkpoint="string",
    examples="int32",
    edge_change="float64",
    node_change="float64",
    edge_floor="float64",
    node_floor="float64",
    edge_replaced="float64",
    node_replaced="float64",
    statistic="float64",
    low="float64",
    high="float64",
    p="float64",
    q="float64",
    p_noise="float64",
    p_edge="float64",
    p_sampling="float64",
    p_node="float64",
    alpha="float64",
    verdict="string",
    false_positives="float64",
    false_positives_low="float64",
    false_positives_high="float64",
    false_positives_pairs="int32",
    power="float64",
    power_low="float64",
    power_high="float64",
    power_pairs="int32",
)


def hypothesis_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of SCHEMA, one a comparison; q over all of them; the known cases are the run's and in every row.

    Where the test rejects for a model and itself more often than alpha allows, no verdict but inconclusive is given.
    """
    settings = trajectory.settings
    floors = {}
    if trajectory.can_resample:
        floors = {name: edge_centric.changed(floor) for name, floor in trajectory.noise_floors.items()}
    results = {}
    for before, after in trajectory.pairs():
        results[before, after] = edge_centric.judge(
            trajectory.scores[before],
            trajectory.scores[after],
            trajectory.graph,
            trajectory.size,
            alpha=settings["alpha"],
            resamples=settings["resamples"],
            seed=settings["seed"],
            floors=[floors[name] for name in (before, after) if name in floors] or None,
        )
    adjusted = statistics.benjamini_hochberg([result.p for result in results.values()])
    q = dict(zip(results, adjusted.tolist(), strict=True))
    false_positives, power = known_cases(trajectory)
    trusted = not false_positives.low > settings["alpha"]
    run = columns("false_positives", false_positives) | columns("power", power)
    rows = []
    for comparison in trajectory.comparisons:
        result = results[comparison.pair]
        verdict = result.verdict if trusted else edge_centric.INCONCLUSIVE
        rows.append(
            comparison._asdict() | asdict(result) | {"q": q[comparison.pair], "verdict": verdict} | run
        )
    return rows


def known_cases(trajectory: Trajectory) -> tuple[Estimate, Estimate]:
    """How often the test rejects for a model and itself, and for a model whose edges were rewired on purpose."""
    if not trajectory.can_resample:
        return statistics.proportion(0, 0), statistics.proportion(0, 0)
    models = list(trajectory.scores.values())
    settings = trajectory.settings
    alpha, seed = settings["alpha"], settings["seed"]
    pairs = settings["controls"]
    case = models, trajectory.graph, trajectory.size
    false_positives = edge_centric.false_positives(*case, pairs["same_model"], alpha, seed)
    power = edge_centric.power(*case, pairs["rewired"], alpha, seed)
    log.info(
        "edge-centric test: rejects %s of a model and itself, %s of rewired ones", false_positives, power
    )
    return false_positives, power


def columns(name: str, share: Estimate) -> dict[str, Any]:
    return {
        name: share.value,
        f"{name}_low": share.low,
        f"{name}_high": share.high,
        f"{name}_pairs": share.n,
    }
