"""Rows of PAIRS of one's own making."""

import numpy as np

from rewire.sequential.tables import PAIRS


def pair_rows(overlap, forgetting, variant="kept", width=0.05):
    """A row a pair with that overlap (every kind of it) and forgetting; NaN: its first task never learned."""
    rows = []
    for i, (x, y) in enumerate(zip(overlap, forgetting, strict=True)):
        row = dict.fromkeys(PAIRS.names, 0.5)
        row |= {name: x for name in PAIRS.names if "jaccard" in name}
        learned = bool(np.isfinite(y))
        row |= {
            "run": f"task{i}-other/{variant}",
            "kind": "sequential",
            "variant": variant,
            "first": f"task{i}",
            "second": "other",
            "tasks": ["other"],
            "learned": learned,
            "second_learned": True,
            "threshold": 0.9,
            "forgetting": y if learned else None,
            "forgetting_low": y - width if learned else None,
            "forgetting_high": y + width if learned else None,
            "examples": 64,
            "parameters": 640,
        }
        rows.append(row)
    return rows
