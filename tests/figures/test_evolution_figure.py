import numpy as np
from figures import evolution_tables

from rewire.figures import evolution
from rewire.figures.frames import read_frame


def drawn_panels(table):
    frame = read_frame(table, evolution.COLUMNS)
    return frame, evolution.figure(frame, "x").axes


def test_both_files_and_the_same_bytes(tables, drawn):
    table = evolution_tables.changes(tables)
    text = drawn(lambda png, svg: evolution.draw(table, "small on newswire", png, svg))
    for label in ("Edges, against the base model", "noise floor", "random circuits", "1,500"):
        assert label in text


def test_curves_intervals_and_ranges_are_the_table(tables):
    frame, axes = drawn_panels(evolution_tables.changes(tables))
    assert len(axes) == 6
    for panel, reference, measure in (
        (axes[0], "previous", "edge_jaccard"),
        (axes[3], "base", "node_jaccard"),
    ):
        rows = frame[(frame["reference"] == reference) & (frame["measure"] == measure)]
        assert np.allclose(panel.lines[0].get_ydata(), rows["value"])
        interval = panel.containers[-1].lines[2][0].get_segments()
        assert np.allclose([[low, high] for (_, low), (_, high) in interval], rows[["low", "high"]])
        colours = [bar.get_facecolor()[:3] for bar in panel.patches]
        floors, random = panel.patches[:6], panel.patches[6:]
        assert len(set(colours)) == 2 and len(random) == 6
        for bar in floors:  # from the lower of both floors to the upper
            assert np.isclose(bar.get_y(), 0.67) and np.isclose(bar.get_y() + bar.get_height(), 0.86)
        assert np.allclose([bar.get_y() for bar in random], 0.12)
    steps = [label.get_text() for label in axes[1].get_xticklabels()]
    assert steps == ["10", "30", "100", "300", "1,000", "1,500"]


def test_scores_have_no_random_circuits_and_all_of_their_intervals_are_inside(tables):
    frame, axes = drawn_panels(evolution_tables.changes(tables))
    scores = axes[5]
    visible = [bar for bar in scores.patches if np.isfinite(bar.get_height())]
    assert len(visible) == 2 * 6
    rows = frame[(frame["reference"] == "base") & frame["measure"].isin(["spearman", "weighted_jaccard"])]
    assert scores.get_ylim()[0] < rows["low"].min() and scores.get_ylim()[1] > rows["high"].max()


def test_without_noise_floor_the_values_are_drawn_alone(tables):
    _, axes = drawn_panels(evolution_tables.changes(tables, known=False))
    for panel in axes:
        assert not [bar for bar in panel.patches if np.isfinite(bar.get_height())]
        assert len(panel.lines[0].get_ydata()) == 6


def test_a_missing_reference_is_a_panel_without_data(tables):
    frame = read_frame(evolution_tables.changes(tables), evolution.COLUMNS)
    axes = evolution.figure(frame[frame["reference"] == "base"], "x").axes
    assert [panel.texts[0].get_text() for panel in axes[::2]] == ["no data"] * 3
    assert all(len(panel.lines) for panel in axes[1::2])


def test_the_legend_explains_both_ranges(tables):
    out = evolution.figure(read_frame(evolution_tables.changes(tables), evolution.COLUMNS), "x")
    labels = [text.get_text() for text in out.legends[0].get_texts()]
    assert labels[:2] == ["edges", "nodes"] and len(labels) == 6
    assert "noise floor" in labels[4] and "random circuits" in labels[5]
