"""The edge-centric test of all runs together. Definitions: docs/definitions.md, "Sequential fine-tuning"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rewire import statistics
from rewire.circuits.edge_centric import INCONCLUSIVE

Rows = list[dict[str, Any]]
KNOWN = ("false_positives", "power")


def put_together(rows: Sequence[dict[str, Any]]) -> Rows:
    """Rows of EDGE_CENTRIC of all runs as one table: q over all comparisons, and known cases of all runs together.

    Where the test rejects for one model and itself more often than alpha allows, beyond the interval of that share, no
    verdict but inconclusive is given. Order and length stay.
    """
    tested = {pair_of(row): row["p"] for row in rows}  # the first checkpoint's two references are one
    q = dict(zip(tested, statistics.benjamini_hochberg(list(tested.values())).tolist(), strict=True))
    cases = {(row["run"], row["task"]): row for row in rows}
    shares: dict[str, Any] = {}
    for name in KNOWN:
        trials = sum(row[f"{name}_pairs"] for row in cases.values())
        found = sum(round(row[name] * row[f"{name}_pairs"]) for row in cases.values() if row[f"{name}_pairs"])
        share = statistics.proportion(found, trials)
        shares |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
        shares |= {f"{name}_pairs": share.n}
    out = []
    for row in rows:
        unsound = shares["false_positives_low"] > row["alpha"]
        verdict = INCONCLUSIVE if unsound else row["verdict"]
        out.append(row | shares | {"q": q[pair_of(row)], "verdict": verdict})
    return out


def pair_of(row: dict[str, Any]) -> tuple[str, ...]:
    """What tells one comparison from others."""
    return tuple(row[name] for name in ("run", "task", "checkpoint", "reference_checkpoint"))
