import numpy as np
import pandas as pd
import pytest
from figures.faithfulness_tables import criteria_table

from rewire.errors import InputError
from rewire.figures import criteria
from rewire.figures.frames import read_frame


@pytest.fixture
def tables(tmp_path):
    def read(**options):
        return {
            c: read_frame(criteria_table(tmp_path, c, **options), criteria.COLUMNS) for c in ("base", "final")
        }

    return read


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    paths = {c: criteria_table(tmp_path, c) for c in ("base", "final")}
    text = drawn(lambda png, svg: criteria.draw(paths, "small on newswire", png, svg))
    for label in (
        "16 held-out pairs",
        "worst nodes found",
        "f of the complement",
        "all 40 edges; 10 help, q",
    ):
        assert label in text, label


def test_the_circuit_beside_its_null_in_every_panel(tables):
    necessity, completeness, base, final = criteria.figure(tables(), "x").axes
    assert [text.get_text() for text in necessity.get_yticklabels()] == ["base", "final"]
    assert len(completeness.get_yticklabels()) == 4
    blue = [
        line for line in necessity.lines if line.get_marker() == "o" and line.get_color() == criteria.BLUE
    ]
    assert [float(line.get_xdata()[0]) for line in blue] == [0.05, 0.05]
    assert sum(len(dots.get_offsets()) for dots in necessity.collections if hasattr(dots, "_sizes")) >= 40
    assert base.get_ylim() == final.get_ylim()


def test_edges_are_sorted_and_the_significant_ones_marked(tables):
    table = tables()["final"]
    final = criteria.figure({"final": table}, "x").axes[-1]
    drawn = {line.get_color(): line for line in final.lines if line.get_marker() == "o"}
    assert len(drawn[criteria.BLUE].get_xdata()) == 10 and len(drawn[criteria.GREY].get_xdata()) == 30
    heights = np.concatenate([drawn[c].get_ydata() for c in (criteria.BLUE, criteria.GREY)])
    assert (np.diff(heights) <= 0).all()
    null = table[(table["criterion"] == "minimality") & (table["circuit"] == "random")]["value"]
    span = final.patches[0]
    assert [span.get_y(), span.get_y() + span.get_height()] == pytest.approx(np.quantile(null, (0.05, 0.95)))


def test_a_sample_of_the_edges_is_said_to_be_one(tables):
    *_, final = criteria.figure(tables(edges=30, kept=45), "x").axes
    assert "30 of 45 edges, drawn at random; 10 help, q" in final.get_xlabel()


def test_a_single_random_circuit_is_said_to_be_one(tables):
    read = tables()
    completeness = criteria.figure(read, "x").axes[1]
    assert "null of the worst nodes: one random circuit" in completeness.get_xlabel()
    several = {
        c: pd.concat([t, t[(t["criterion"] == "completeness, greedy") & (t["circuit"] == "random")]])
        for c, t in read.items()
    }
    assert "one random circuit" not in criteria.figure(several, "x").axes[1].get_xlabel()


def test_without_f_there_is_no_necessity_and_without_edges_no_minimality(tables):
    necessity, *_ = criteria.figure(tables(interval=False), "x").axes
    assert necessity.texts[0].get_text() == "no data" and "not base, final" in necessity.get_xlabel()
    few, *_ = criteria.figure(tables(interval=False, examples=4), "x").axes
    assert not few.texts
    *_, final = criteria.figure(tables(edges=0), "x").axes
    assert final.texts[0].get_text() == "the circuit has no edge"


def test_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(InputError, match="at least one checkpoint"):
        criteria.draw({}, "x", tmp_path / "f.png", tmp_path / "f.svg")
