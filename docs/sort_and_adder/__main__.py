"""The tables of docs/sort-and-adder.md, in markdown on standard output, and its figure.

REWIRE_MATERIAL=../shared PYTHONPATH=tests:docs python -m sort_and_adder [--figure docs/figures/sort-and-adder.png]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from trained_models import KINDS

from rewire.circuits import evaluation

from . import figure, heads, methods, sizes
from .study import judged, mean, model_of, table


def pair_kinds() -> Iterator[str]:
    """What the whole model makes of every kind of pair."""
    metrics, rows = ("accuracy", "nll", "logit_diff"), []
    for kind in KINDS:
        runs = evaluation.evaluate_baselines(model_of(KINDS[kind].task), judged(kind), metrics)
        whole = KINDS[kind].whole_answer
        cells = [mean(runs[run][metric], 3) for metric in metrics[:2] for run in ("clean", "corrupted")]
        rows.append([kind, *cells, "" if whole else mean(runs["clean"]["logit_diff"])])
    columns = [f"{metric}, {run}" for metric in ("accuracy", "NLL") for run in ("clean", "corrupted")]
    yield table("Pairs", ["kind", *columns, "logit difference, clean"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path)
    path = parser.parse_args().figure
    for tables in (pair_kinds, methods.tables, sizes.tables, heads.tables):
        for text in tables():
            sys.stdout.write(text)
            sys.stdout.flush()
    if path:
        figure.write(path)
