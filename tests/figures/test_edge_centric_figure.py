import numpy as np
import pytest
from figures import evolution_tables

from rewire.figures import edge_centric
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tables, drawn):
    table = evolution_tables.edge_centric(tables)
    text = drawn(lambda png, svg: edge_centric.draw(table, "<b> & small", png, svg))
    for label in ("Do edges change more than nodes? &lt;b&gt; &amp; small", "not supported", "p = 0.030"):
        assert label in text


def test_points_lines_and_statistics_are_the_table(tables):
    frame = read_frame(evolution_tables.edge_centric(tables), edge_centric.COLUMNS)
    out = edge_centric.figure(frame, "x")
    plane, tested = out.axes
    base = frame[frame["reference"] == "base"]
    points = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in plane.lines}
    for row in base.itertuples():
        assert (row.edge_change, row.node_change) in points
        assert (row.edge_floor, row.node_floor) in points and (0.9, 0.6) in points
    drops = [segment for lines in plane.collections for segment in lines.get_segments()]
    for row, ((x, low), (_, high)) in zip(base.itertuples(), drops, strict=True):
        implied = 0.1 + (0.6 / 0.9) * (row.edge_change - 0.2)
        assert x == row.edge_change and {low, high} == {row.node_change, implied}
    shown = [line for line in tested.lines if np.allclose(line.get_xdata(), 0.1)]
    assert len(shown) == len(frame)
    intervals = [segment for lines in tested.collections for segment in lines.get_segments()]
    assert np.allclose([[a[0], b[0]] for a, b in intervals], [-0.02, 0.2])
    text = out.get_supxlabel()
    assert text.startswith("intervals: 95 %")
    assert "of 100 pairs of a model and itself the test rejects 1–3 %" in text
    assert "of 40 pairs rewired on purpose it finds 0–88 %" in text
    labels = [tick.get_text() for tick in tested.get_yticklabels()]
    assert labels[0].endswith("p = 0.030\npower 0–88 %") and labels[6].endswith("power 88 %")


def test_without_a_test_the_changes_are_drawn_and_nothing_is_claimed(tables):
    frame = read_frame(evolution_tables.edge_centric(tables, known=False), edge_centric.COLUMNS)
    out = edge_centric.figure(frame, "x")
    plane, tested = out.axes
    assert tested.texts[0].get_text() == "too few examples for a test"
    assert len(plane.lines) == 3 * 6 and out.get_supxlabel() == "intervals: 95 %"


def test_the_previous_checkpoint_alone_leaves_the_plane_empty(tables):
    frame = read_frame(evolution_tables.edge_centric(tables), edge_centric.COLUMNS)
    plane, tested = edge_centric.figure(frame[frame["reference"] == "previous"], "x").axes
    assert plane.texts[0].get_text() == "no data" and len(tested.get_yticks()) == pytest.approx(6)


def test_published_checkpoints_have_names_and_no_steps(tables, drawn):
    tables.steps = {"base": 0, "nearly-trained": 1, "trained": 2}
    paths = evolution_tables.edge_centric(tables), "x"
    text = drawn(lambda png, svg: edge_centric.draw(*paths, png, svg, named=True))
    assert "nearly-trained" in text and "training step" not in text and "step 1" not in text
