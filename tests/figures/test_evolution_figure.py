import numpy as np
import pandas as pd
from figures import evolution_tables

from rewire.evolution.changes import beyond_floor, spread
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
        others, floors, random = (panel.patches[start : start + 6] for start in (0, 6, 12))
        assert len(set(colours)) == 2 and len(panel.patches) == 18
        for group, low, high, opacity in (
            (floors, 0.67, 0.81, evolution.BAND),
            (others, 0.72, 0.86, evolution.OTHER),
        ):
            for bar in group:
                assert np.isclose(bar.get_y(), low) and np.isclose(bar.get_y() + bar.get_height(), high)
                assert bar.get_alpha() == opacity
        assert np.allclose([bar.get_y() for bar in random], 0.12)
    steps = [label.get_text() for label in axes[1].get_xticklabels()]
    assert steps == ["10", "30", "100", "300", "1,000", "1,500"]


def test_scores_have_no_random_circuits_and_all_of_their_intervals_are_inside(tables):
    frame, axes = drawn_panels(evolution_tables.changes(tables))
    scores = axes[5]
    visible = [bar for bar in scores.patches if np.isfinite(bar.get_height())]
    assert len(visible) == 2 * 2 * 6
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
    assert labels[:2] == ["edges", "nodes"] and len(labels) == 7
    assert "less stable" in labels[4] and "other model" in labels[5] and "random circuits" in labels[6]


def test_the_floor_drawn_is_the_one_that_change_is_judged_by():
    """As ``beyond`` of the evolution stage: of the model whose floor has the lower mean, alone."""
    stable, shaky = np.array([0.8, 0.9, 0.85]), np.array([0.4, 0.6, 0.5])
    rows = []
    for before, after in ((stable, shaky), (shaky, stable)):
        row = {"value": 0.3} | spread("floor", after) | spread("reference_floor", before)
        judged = beyond_floor("edge_jaccard", 0.3, np.array([0.3, 0.3, 0.3]), [before, after])["beyond"]
        rows.append(row | {"beyond": judged})
    frame = pd.DataFrame(rows)
    (_, _, used), (_, _, other) = evolution.floors(frame)
    assert np.allclose(used - frame["value"], frame["beyond"])
    assert np.allclose(used, shaky.mean()) and np.allclose(other, stable.mean())


def test_published_checkpoints_have_names_and_no_steps(tables, drawn):
    tables.steps = {"base": 0, "nearly-trained": 1, "trained": 2}
    paths = evolution_tables.changes(tables), "x"
    text = drawn(lambda png, svg: evolution.draw(*paths, png, svg, named=True))
    assert "nearly-trained" in text and "training step" not in text and "step 1" not in text
