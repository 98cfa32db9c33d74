"""How every figure looks and is written: one theme, one palette, two files with the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from unicodedata import category

import seaborn as sns
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from rewire.whole_file import replacing_file

DPI = 150
INK, GREY, FAINT = "#222222", "#6b6b6b", "#d4d4d4"
BLUE, ORANGE, GREEN, PURPLE = (sns.color_palette("colorblind").as_hex()[i] for i in (0, 3, 2, 4))
DIVERGING = sns.color_palette("vlag", as_cmap=True)  # blue below zero, red above
SEQUENTIAL = sns.color_palette("YlGnBu", as_cmap=True)

THEME = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "lines.markeredgecolor": "white",
    "lines.markeredgewidth": 0.6,
    "text.parse_math": False,  # a dollar sign in somebody's name is a dollar sign
    "svg.fonttype": "none",  # text stays text: searchable, editable, escaped
    "svg.hashsalt": "rewire",
    "axes.formatter.useoffset": False,
}
themed = rc_context(THEME)  # a decorator: the theme holds inside the function and nowhere else


@themed
def save(figure: Figure, png: str | Path, svg: str | Path) -> None:
    """Write ``figure`` to both files, whole or not at all, with the same bytes for the same figure.

    Errors: InputError that names the file that cannot be written.
    """
    metadata: dict[str, Mapping[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}}
    settle_text(figure)
    settle_layout(figure)
    with replacing_file(png) as partial:
        figure.savefig(partial, format="png", dpi=DPI, metadata=metadata["png"])
        with replacing_file(svg) as other:
            figure.savefig(other, format="svg", dpi=DPI, metadata=metadata["svg"])


def settle_text(figure: Figure) -> None:
    """Make every text of the figure ``printable``; ticks' labels at their formatter, which writes them again and again."""
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        settled = [printable(label) for label in labels]
        if settled != labels:
            axis.set_major_formatter(FixedFormatter(settled))


def printable(text: str) -> str:
    """``text`` with a replacement character for what no XML file may hold: control characters, lone surrogates."""
    return "".join(
        "\ufffd"
        if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or category(c) in ("Cs", "Cn")
        else c
        for c in text
    )


def settle_layout(figure: Figure) -> None:
    """Lay the panels out once and for all: the solver's last digits differ from time to time, so they are dropped."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (
            round(float(length), 6) for length in axes.get_position(original=True).bounds
        )
        axes.set_position((left, bottom, width, height))


def blank(width: float, height: float, title: str) -> Figure:
    """An empty figure of ``width`` x ``height`` inches; no pyplot, so no display and nothing left open."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)  # type: ignore[union-attr,call-arg]
    figure.suptitle(fill(title, int(8.5 * width)), x=0.01, ha="left", color=INK)
    return figure


def checkpoint_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour a checkpoint, light to dark in training order; the base is grey."""
    tuned = [name for name in names if name != "base"]
    shades = sns.blend_palette(["#e3b505", "#5fb76b", "#1f7a8c", "#2d1e5f"], max(len(tuned), 2)).as_hex()
    shades = shades[-len(tuned) :] if tuned else []
    return {"base": "#8a8a8a"} | dict(zip(tuned, shades, strict=True))


def checkpoint_tick(name: str) -> str:
    """The name of a checkpoint under an axis, in lines of 14 characters."""
    return fill(checkpoint_label(name), 14)


def checkpoint_label(name: str, step: int | None = None) -> str:
    """``base``, ``step 100``, ``final (step 400)``."""
    if name == "base":
        return name
    if name.startswith("step-") and name[5:].isdigit():
        return f"step {int(name[5:]):,}"
    return name if step is None else f"{name} (step {step:,})"
