"""The figure: faithfulness against size for every kind of pair, beside random circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from trained_models import KINDS

from rewire.circuits import selection
from rewire.figures.style import BLUE, GREY, ORANGE, THEME

from .sizes import CURVE, curve
from .study import INTEGRATED, SINGLE, all_right, name_of, scores_of


def write(path: Path) -> None:
    """Write the figure, whole or not at all."""
    with rc_context(THEME):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        panels = figure.subplots(2, 3, sharex=True, sharey=True).flat
        for axes, kind in zip(panels, SINGLE, strict=True):
            draw(axes, kind)
        figure.supxlabel("edges, of 172")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        figure.savefig(partial, format="png", dpi=90, metadata={"Software": None})
        partial.replace(path)


def draw(axes: Axes, kind: str) -> None:
    """f of the EAP-IG circuit and of random ones, and the share of right answers."""
    points = curve(kind)
    own = np.array([[e.value, e.low, e.high] for _, e, _ in points]).T
    null = np.array([null for _, _, null in points])
    circuits = [selection.top_n(scores_of(kind, "nll", INTEGRATED), n) for n in CURVE]
    band: dict[str, Any] = {"alpha": 0.3, "lw": 0}
    axes.fill_between(
        CURVE, null.min(axis=1), null.max(axis=1), color=GREY, label="f, 20 random circuits", **band
    )
    axes.fill_between(CURVE, own[1], own[2], color=BLUE, **band)
    axes.plot(CURVE, own[0], color=BLUE, label="f, EAP-IG circuit (95 % interval)")
    axes.plot(
        CURVE, all_right(kind, circuits).mean(axis=1), color=ORANGE, ls="--", label="share of right answers"
    )
    axes.set(title=f"{name_of(KINDS[kind].task)}: {kind}", ylim=(-0.05, 1.05))
