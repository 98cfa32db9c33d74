import numpy as np

from rewire.figures import bakeoff
from rewire.figures.frames import read_frame


def means(axes):
    return [line.get_xdata()[0] for line in axes.lines if line.get_label() == "mean"]


def test_both_files_and_the_same_bytes(tables, drawn):
    table = tables.bakeoff()
    text = drawn(lambda png, svg: bakeoff.draw(table, "small on newswire", png, svg))
    for label in ("ROUGE-L", "Facts right", "64 articles", "24,666 (1.9 %)", "all parameters"):
        assert label in text


def test_points_are_the_table_with_base_and_full_first(tables):
    frame = read_frame(tables.bakeoff(), bakeoff.COLUMNS)
    panels = bakeoff.figure(frame, "x").axes
    rouge2 = frame[frame["measure"] == "rouge2"]
    assert len(panels) == 8 and np.allclose(means(panels[1]), rouge2["mean"])
    labels = [label.get_text().splitlines()[0] for label in panels[0].get_yticklabels()]
    assert labels[:3] == ["base", "full", "standard"] and panels[0].get_xlim()[0] == 0
    differences = rouge2[~rouge2["strategy"].isin(["base"])]["against_standard"]
    assert np.allclose(means(panels[5]), differences, equal_nan=True)


def test_missing_measures_and_differences_are_said(tables):
    frame = read_frame(tables.bakeoff(), bakeoff.COLUMNS)
    frame = frame[frame["measure"] != "facts"].assign(against_standard=np.nan)
    panels = bakeoff.figure(frame, "x").axes
    said = [[text.get_text() for text in axes.texts] for axes in panels]
    assert said == [[]] * 3 + [["no data"]] * 5


def test_base_alone_is_drawn(tables):
    frame = read_frame(tables.bakeoff(), bakeoff.COLUMNS)
    assert len(bakeoff.figure(frame[frame["strategy"] == "base"], "x").axes) == 8
