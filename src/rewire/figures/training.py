"""Fine-tuning step by step: losses, learning rate, gradient norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rewire.figures.frames import known, read_frame
from rewire.figures.panels import no_data, whole_numbers
from rewire.figures.style import BLUE, GREEN, ORANGE, PURPLE, blank, save, themed

COLUMNS = ("step", "train_loss", "validation_loss", "learning_rate", "gradient_norm")


def draw(table: str | Path, name: str, png: str | Path, svg: str | Path) -> None:
    """Draw a training table. Errors: InputError that names the table if it is empty or lacks a column."""
    save(figure(read_frame(table, COLUMNS), name), png, svg)


@themed
def figure(table: pd.DataFrame, name: str) -> Figure:
    """``table``: a row a step; losses in nats a token, NaN where they were not measured."""
    out = blank(8.6, 4.0, f"Fine-tuning: {name}")
    panels = out.subplot_mosaic([["loss", "rate"], ["loss", "norm"]], width_ratios=[1.5, 1])
    loss, rate, norm = panels["loss"], panels["rate"], panels["norm"]
    curve(loss, table, "train_loss", BLUE, label="training (mean since the last point)")
    curve(loss, table, "validation_loss", ORANGE, label="validation", marker="o")
    curve(rate, table, "learning_rate", GREEN)
    curve(norm, table, "gradient_norm", PURPLE)
    finish(loss, f"Loss of the summary{lowest(table)}", "loss (nats a token)")
    finish(rate, "Learning rate", "learning rate")
    finish(norm, "Gradient norm", "L2 norm")
    if loss.lines:
        out.legend(handles=loss.lines, loc="outside lower left", ncols=2)
    return out


def lowest(table: pd.DataFrame) -> str:
    """Where the validation loss is lowest, for the title."""
    measured = known(table, "validation_loss")
    if not len(measured):
        return ""
    best = measured.loc[measured["validation_loss"].idxmin()]
    return f" (lowest in validation: {best['validation_loss']:.3f} at step {int(best['step']):,})"


def curve(axes: Axes, table: pd.DataFrame, column: str, colour: str, **style: Any) -> None:
    measured = known(table, column)
    if len(measured) == 1:
        style["marker"] = "o"
    if len(measured):
        axes.plot(measured["step"], measured[column], color=colour, **style)


def finish(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title)
    axes.set_ylabel(label)
    axes.set_xlabel("training step")
    if axes.lines:
        whole_numbers(axes)
    else:
        no_data(axes)
