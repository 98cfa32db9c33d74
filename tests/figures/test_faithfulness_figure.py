import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import faithfulness
from rewire.figures.frames import read_frame

NAMES = ("base", "step-000100", "final")


def frames(tables, **options):
    return {c: read_frame(tables.faithfulness(c, **options), faithfulness.COLUMNS) for c in NAMES}


def curves(axes):
    return [line for line in axes.lines if line.get_marker() == "o"]


def test_both_files_and_the_same_bytes(tables, drawn):
    paths = {c: tables.faithfulness(c) for c in NAMES}
    text = drawn(lambda png, svg: faithfulness.draw(paths, tables.steps, "small on newswire", png, svg))
    for label in (
        "20 random circuits of",
        "final (step 1,500)",
        "KL(whole ‖ circuit) (nats)",
        "95 % CI, first and last",
    ):
        assert label in text


def test_curves_bands_and_scales(tables):
    rows = frames(tables)
    left, right = faithfulness.figure(rows, tables.steps, "x").axes
    own = rows["final"][rows["final"]["circuit"] == "circuit"]
    assert len(curves(left)) == len(curves(right)) == 3
    assert np.allclose(curves(left)[-1].get_xdata(), 100 * own["fraction"])
    assert np.allclose(curves(left)[-1].get_ydata(), own["normalised"])
    assert len(curves(right)[-1].get_xdata()) == 9  # KL 0 of the whole graph is not on a log axis
    assert "are 0 or below the axis" in right.get_xlabel() and "outside" not in left.get_xlabel()
    assert len(left.collections) == 3  # random, first, last
    assert (left.get_xscale(), left.get_yscale(), right.get_yscale()) == ("log", "linear", "log")
    null = rows["final"][rows["final"]["circuit"] == "random"]
    thin = next(line for line in left.lines if line.get_marker() == "None" and len(line.get_xdata()) == 10)
    assert np.allclose(thin.get_ydata(), null.groupby("fraction")["normalised"].max())


def test_values_outside_are_cut_and_counted(tables):
    left, _ = faithfulness.figure(frames(tables, wild=True), tables.steps, "x").axes
    assert left.get_ylim()[1] == 1.5 and "(3 of " in left.get_xlabel()


def test_one_checkpoint_without_intervals_or_random_circuits(tables):
    table = read_frame(tables.faithfulness(draws=0), faithfulness.COLUMNS)
    table = table.assign(normalised_low=np.nan, normalised_high=np.nan)
    left, _ = faithfulness.figure({"final": table}, tables.steps, "x").axes
    assert len(curves(left)) == 1 and not left.collections


def test_nothing_measured_is_said(tables, tmp_path):
    table = read_frame(tables.faithfulness(), faithfulness.COLUMNS).assign(normalised=np.nan, kl=np.nan)
    for axes in faithfulness.figure({"final": table}, tables.steps, "x").axes:
        assert axes.texts[0].get_text() == "no data"
    with pytest.raises(InputError, match="at least one checkpoint"):
        faithfulness.draw({}, {}, "x", tmp_path / "f.png", tmp_path / "f.svg")
