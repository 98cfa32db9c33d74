import numpy as np
import pytest
from figures.bakeoff_tables import MORE, NAMES, bakeoff
from hypothesis import given
from hypothesis import strategies as st

from rewire.errors import InputError
from rewire.figures import bakeoff_parameters
from rewire.figures.bakeoff_parameters import matched, spaced
from rewire.figures.strategies import read_bakeoff


def frames(made):
    return read_bakeoff(made.table, made.runs, bakeoff_parameters.COLUMNS, list(bakeoff_parameters.MEASURES))


def points(axes):
    """(x, y) of every strategy's marker."""
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "o"]


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    made = bakeoff(tmp_path)
    text = drawn(
        lambda png, svg: bakeoff_parameters.draw(made.table, made.runs, "small on newswire", png, svg)
    )
    for label in (
        "ROUGE-1",
        "Facts right",
        "1,005,312",
        "(all)",
        "base: no training",
        "3 to 5 seeds",
        "targeted",
    ):
        assert label in text


def test_points_are_the_table_at_their_budget(tmp_path):
    table, runs = frames(bakeoff(tmp_path))
    rouge, facts = bakeoff_parameters.figure(table, runs, "x").axes
    for axes, measure in ((rouge, "rouge1"), (facts, "facts")):
        rows = table[table["measure"] == measure].set_index("strategy")
        order = ["standard", "random", "circuit", "targeted", "full"]
        assert np.allclose([y for _, y in points(axes)], rows.loc[order, "mean"])
        x = [x for x, _ in points(axes)]
        assert x == sorted(x) and x[-1] == pytest.approx(1_005_312)
        assert np.exp(np.mean(np.log(x[:4]))) == pytest.approx(24_576)
        assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    "options", [{"names": NAMES[:1], "seeds": 1}, {"names": NAMES + MORE}, {"articles": 3}]
)
def test_labels_are_apart_and_inside(tmp_path, options):
    table, runs = frames(bakeoff(tmp_path, **options))
    for axes in bakeoff_parameters.figure(table, runs, "x").axes:
        heights = [text.get_position()[1] for text in axes.texts]
        assert len(heights) == table["strategy"].nunique()
        assert min(heights) >= 0 and max(heights) <= 1 + 1e-9
        assert (np.diff(sorted(heights)) > 0.07).all()


def test_missing_means_are_said(tmp_path):
    table, runs = frames(bakeoff(tmp_path, NAMES[:2], articles=5))
    rouge, facts = bakeoff_parameters.figure(table[table["measure"] != "facts"], runs, "x").axes
    assert [text.get_text() for text in facts.texts] == ["no data"] and len(points(rouge)) == 2


def test_about_equal_budgets_are_one_group():
    budgets = matched({"a": 1000, "b": 400, "c": 1030, "d": 990, "e": 1051})
    assert budgets.groups == [["b"], ["a", "c", "d"], ["e"]]  # 1051 is more than 5 % above 990
    places = budgets.places()
    assert list(places) == ["b", "a", "c", "d", "e"] and places["a"] < places["c"] < places["d"]


@given(st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=20))
def test_heights_rise_and_stay_inside(wanted):
    heights = spaced(sorted(wanted), 0.075)
    gap = min(0.075, 1 / max(1, len(wanted) - 1))
    assert all(later - earlier >= gap - 1e-9 for earlier, later in zip(heights, heights[1:], strict=False))
    assert min(heights) >= 0 and max(heights) <= 1 + 1e-9


def test_errors_name_the_table(tmp_path):
    made = bakeoff(tmp_path, NAMES[:1], seeds=1, articles=5)
    with pytest.raises(InputError, match=r"none\.parquet"):
        bakeoff_parameters.draw(
            made.table, tmp_path / "none.parquet", "x", tmp_path / "png", tmp_path / "svg"
        )
