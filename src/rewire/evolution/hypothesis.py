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
    reference_false_positives="float64",
    reference_false_positives_low="float64",
    reference_false_positives_high="float64",
    reference_false_positives_pairs="int32",
    reference_power="float64",
    reference_power_low="float64",
    reference_power_high="float64",
    reference_power_pairs="int32",
)


def hypothesis_rows(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Rows of SCHEMA, one a comparison; q over all of them.

    The known cases are those of the comparison's own two models. Where the test rejects for one of them and itself more
    often than alpha allows, no verdict but inconclusive is given.
    """
    alpha = trajectory.settings["alpha"]
    results = judged(trajectory)
    adjusted = statistics.benjamini_hochberg([result.p for result in results.values()])
    q = dict(zip(results, adjusted.tolist(), strict=True))
    known = {name: known_cases(trajectory, name) for name in trajectory.scores}
    rows = []
    for comparison in trajectory.comparisons:
        result = results[comparison.pair]
        row = comparison._asdict() | asdict(result) | {"q": q[comparison.pair], "verdict": result.verdict}
        for prefix, name in (("", comparison.checkpoint), ("reference_", comparison.reference_checkpoint)):
            for share, found in known[name].items():
                row |= columns(prefix + share, found)
            if known[name]["false_positives"].low > alpha:
                row["verdict"] = edge_centric.INCONCLUSIVE
        rows.append(row)
    return rows


def judged(trajectory: Trajectory) -> dict[tuple[str, str], edge_centric.Result]:
    """The test of each pair of checkpoints that is compared."""
    settings = trajectory.settings
    floors = {}
    if trajectory.can_resample:
        floors = {name: edge_centric.changed(floor) for name, floor in trajectory.resampled.floors.items()}
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
    return results


def known_cases(trajectory: Trajectory, name: str, seed: int | None = None) -> dict[str, Estimate]:
    """How often the test rejects for checkpoint ``name`` and itself, and for it and itself rewired on purpose.

    ``seed``: of the draws; None: the settings'. Cases of several runs are independent draws if each has its own.
    """
    if not trajectory.can_resample:
        return dict.fromkeys(("false_positives", "power"), statistics.proportion(0, 0))
    settings = trajectory.settings
    case = trajectory.scores[name], trajectory.graph, trajectory.size
    level = settings["alpha"], settings["seed"] if seed is None else seed
    found = {
        "false_positives": edge_centric.false_positives(*case, settings["controls"]["same_model"], *level),
        "power": edge_centric.power(*case, settings["controls"]["rewired"], *level),
    }
    log.info("edge-centric test, %s: rejects %s", name, found)
    return found


def columns(name: str, share: Estimate) -> dict[str, Any]:
    return {
        name: share.value,
        f"{name}_low": share.low,
        f"{name}_high": share.high,
        f"{name}_pairs": share.n,
    }
