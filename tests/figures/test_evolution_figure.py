import numpy as np

from rewire.figures import evolution
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tables, drawn):
    table = tables.evolution()
    text = drawn(lambda png, svg: evolution.draw(table, "small on newswire", png, svg))
    for label in ("Overlap with the base model", "edges born", "1,500"):
        assert label in text


def test_overlap_and_turnover_are_the_table(tables):
    frame = read_frame(tables.evolution(), evolution.COLUMNS)
    previous, base, turnover = evolution.figure(frame, "x").axes
    before = frame[frame["reference"] == "previous"]
    assert np.allclose(previous.lines[1].get_ydata(), before["edge_jaccard"])
    assert np.allclose(base.lines[0].get_ydata(), frame[frame["reference"] == "base"]["node_jaccard"])
    heights = [bar.get_height() for bar in turnover.patches]
    assert heights == [*before["edges_born"], *(-before["edges_lost"])]
    assert [label.get_text() for label in base.get_xticklabels()] == [
        "10",
        "30",
        "100",
        "300",
        "1,000",
        "1,500",
    ]


def test_a_missing_reference_is_a_panel_without_data(tables):
    frame = read_frame(tables.evolution(), evolution.COLUMNS)
    previous, base, turnover = evolution.figure(frame[frame["reference"] == "base"], "x").axes
    assert previous.texts[0].get_text() == turnover.texts[0].get_text() == "no data"
    assert len(base.lines) == 2
