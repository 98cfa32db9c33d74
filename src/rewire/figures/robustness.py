"""How much circuits owe to their examples and to noise: agreement, inclusion of edges, noise beside the noise floor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from rewire.figures.frames import known, read_frame
from rewire.figures.noise_floor import noise_floor, spread
from rewire.figures.panels import BAND, legend, no_data, note, reference_line, whole_numbers
from rewire.figures.strips import ROW, group_axis, positions, strip
from rewire.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    blank,
    checkpoint_colours,
    checkpoint_label,
    save,
    themed,
)

INTERVALS = ("edge_low", "edge_high", "node_low", "node_high")
OF_MEANS = ("edge_mean_low", "edge_mean_high", "node_mean_low", "node_mean_high")
MEASURED = ("edges", "edge_jaccard", "node_jaccard", *INTERVALS, *OF_MEANS)
AGREEMENT = ("model", "study", "first", "examples", *MEASURED)
EDGES = ("model", "inclusion", "in_circuit")
RANDOM = "random weights"
STUDIES = {"split": "disjoint\nsplits", "bootstrap": "bootstrap"}
RANGE = 0.35  # opacity of the bar over the pairs, under the interval of their mean
FIRM = 0.9  # an edge in this share of the resampled circuits is counted
KINDS = {"edge_jaccard": ("edges", BLUE, "o"), "node_jaccard": ("nodes", PURPLE, "s")}


def draw(agreement: str | Path, edges: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw the robustness tables. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(agreement, AGREEMENT), read_frame(edges, EDGES), name), png, svg)


@themed
def figure(agreement: pd.DataFrame, edges: pd.DataFrame, name: str) -> Figure:
    """``agreement``: a row for each two circuits compared; ``edges``: a row a model and edge."""
    colours = model_colours(agreement)
    strips = len(STUDIES) * (len(colours) + 1)
    heights = [max(1.6, ROW * strips), 2.4]
    out = blank(10.6, sum(heights) + 1.7, f"Robustness of the circuit: {name}")
    (edge, node), (inclusion, noise) = out.subplots(2, 2, height_ratios=heights)
    compare(edge, agreement, "edge_jaccard", colours)
    compare(node, agreement, "node_jaccard", colours)
    firm = rank(inclusion, edges[edges["in_circuit"]], colours)
    against_noise(noise, agreement)
    models = [
        Line2D([], [], color=colours[m], marker="o", label=f"{fill(checkpoint_label(m), 24)}\n{firm[m]}")
        for m in colours
    ]
    legend(out, models, f"model, its edges in\n≥ {100 * FIRM:.0f} % of resamples")
    if noise.lines:
        kinds, _ = noise.get_legend_handles_labels()
        if noise.patches:
            label = "noise floor: mean,\n5–95 % of bootstrap"
            kinds.append(Patch(color=GREY, alpha=BAND, linewidth=0, label=label))
        out.legend(handles=kinds, loc="outside right lower")
    return out


def model_colours(agreement: pd.DataFrame) -> dict[str, str]:
    """A colour for every model of the table: those of checkpoints, and one for random weights."""
    names = list(dict.fromkeys(agreement["model"]))
    colours = checkpoint_colours([name for name in names if name != RANDOM]) | {RANDOM: ORANGE}
    return {name: colours[name] for name in names}


def compare(axes: Axes, agreement: pd.DataFrame, column: str, colours: Mapping[str, str]) -> None:
    """Jaccard of every pair of circuits, a group a study, a strip a model; a study without numbers says why."""
    labels = []
    for i, study in enumerate(STUDIES):
        rows = known(agreement[agreement["study"] == study], column)
        for model, y in zip(colours, positions(i, len(colours)), strict=True):
            own = rows[rows["model"] == model]
            over_pairs(axes, own, column, y, colours[model])
        pairs = rows["model"].value_counts().max() if len(rows) else 0
        labels.append(f"{STUDIES[study]}\n({f'n = {pairs:,}' if pairs else 'too few examples'})")
    axes.set_title(
        f"Two circuits of one model: {KINDS[column][0]} ({agreement['examples'].max():,} examples)"
    )
    axes.set_xlabel("Jaccard, shared / either (0..1)")
    note(axes, "bars: 95 % CI of the mean; pale: 5–95 % of n pairs")
    if not axes.has_data():
        no_data(axes)
        return
    group_axis(axes, labels)
    axes.set_xlim(-0.03, 1.03)
    shown = known(agreement[agreement["study"].isin(list(STUDIES))], column)
    empty = int((shown["edges"] == 0).sum())
    if empty:
        note(axes, f"{empty:,} of {len(shown):,} first circuits have no edge; two such count as 1")


def over_pairs(axes: Axes, own: pd.DataFrame, column: str, y: float, colour: str) -> None:
    """The pairs of one model and study at height ``y``: points, a pale bar over most of them, mean and its interval."""
    if not len(own):
        return
    mean, low, high = spread(own, column)
    axes.hlines([y], [low], [high], color=colour, linewidth=4, alpha=RANGE, zorder=2.5)
    ends = (float(own[column.replace("jaccard", f"mean_{end}")].iloc[0]) for end in ("low", "high"))
    strip(axes, own[column], (mean, *ends), y, colour)


def rank(axes: Axes, circuit: pd.DataFrame, colours: Mapping[str, str]) -> dict[str, str]:
    """Inclusion frequency of each model's in-circuit edges, the most frequent first; how many are firm, by model."""
    firm = {}
    for model, colour in colours.items():
        shares = known(circuit[circuit["model"] == model], "inclusion")["inclusion"]
        frequency = shares.sort_values(ascending=False).to_numpy()
        firm[model] = "not resampled"
        if len(frequency):
            firm[model] = f"{int((frequency >= FIRM).sum()):,} of {len(frequency):,} edges"
            axes.stairs(frequency, color=colour, baseline=None, linewidth=1.6)
    axes.set_title("Edges of the circuit in the bootstrap circuits")
    axes.set_xlabel("edge of the circuit, by rank")
    axes.set_ylabel("resamples that include it")
    if not axes.has_data():
        no_data(axes)
        return firm
    reference_line(axes, FIRM)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    whole_numbers(axes)
    return firm


def against_noise(axes: Axes, agreement: pd.DataFrame) -> None:
    """Jaccard with the model's own circuit by share of noise, over the spread of its bootstrap pairs."""
    rows = agreement[agreement["study"] == "noise"]
    model = rows["model"].iloc[-1] if len(rows) else None
    rows = rows.assign(share=rows["first"].astype(float)).sort_values("share")
    axes.set_title(
        fill(f"Circuits under noise: {checkpoint_label(model)}" if model else "Circuits under noise", 55)
    )
    axes.set_xlabel("tokens of the article replaced (%)")
    axes.set_ylabel("Jaccard with its circuit, 95 % CI")
    for column, (label, colour, marker) in KINDS.items():
        measured = known(rows, column)
        if not len(measured):
            continue
        share = 100 * measured["share"]
        axes.plot(share, measured[column], color=colour, marker=marker, label=label)
        ends = [measured[f"{label.removesuffix('s')}_{end}"] for end in ("low", "high")]
        axes.vlines(share, *ends, color=colour, linewidth=1.4)  # nothing where there is no interval
        floor = noise_floor(agreement, str(model), column)
        if np.isfinite(floor.low):
            axes.axhspan(floor.low, floor.high, color=colour, alpha=BAND, linewidth=0, zorder=1.2)
        axes.axhline(floor.mean, color=colour, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1.4)
    if not axes.has_data():
        no_data(axes)
        return
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-2, 102)
