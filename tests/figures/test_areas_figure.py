import numpy as np
import pytest
from figures.faithfulness_tables import STEPS, areas_table

from rewire.errors import InputError
from rewire.figures import areas
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    paths = {c: areas_table(tmp_path, c) for c in STEPS}
    text = drawn(lambda png, svg: areas.draw(paths, STEPS, "small on newswire", png, svg))
    for label in ("CPR: area under f", "CMD: area between f and 1", "20 random circuits:", "step 100"):
        assert label in text, label


def test_each_checkpoint_has_its_circuits_and_its_null(tmp_path):
    tables = {c: read_frame(areas_table(tmp_path, c), areas.COLUMNS) for c in STEPS}
    for axes, area in zip(areas.figure(tables, STEPS, "x").axes, ("CPR", "CMD"), strict=True):
        points = {(line.get_marker(), line.get_xdata()[0]): line.get_ydata()[0] for line in axes.lines[:-1]}
        for place, table in enumerate(tables.values()):
            rows = table[table["area"] == area].groupby("circuit")["value"].mean()
            assert points["o", place - 0.2] == rows["held-out"]
            assert points["D", place] == rows["circuit"]
            assert points["s", place + 0.2] == rows["other-task"]
            assert points["_", place + 0.35] == pytest.approx(rows["random"])
        null = axes.collections[0].get_segments()[0][:, 1]
        first = tables["base"]
        draws = first[(first["area"] == area) & (first["circuit"] == "random")]["value"]
        assert null == pytest.approx(np.quantile(draws, (0.05, 0.95)))


def test_a_checkpoint_without_f_is_left_out_and_named_and_few_examples_are_not(tmp_path):
    for examples, points in ((32, 8), (4, 12)):
        tables = {
            c: read_frame(areas_table(tmp_path, c, c != "base", examples), areas.COLUMNS) for c in STEPS
        }
        cpr = areas.figure(tables, STEPS, "x").axes[0]
        assert len(cpr.lines) == points + 1
        assert "a scale, no test" in cpr.get_xlabel() and len(cpr.get_xlabel().splitlines()) <= 3
        assert ("not base" in cpr.get_xlabel()) == (examples == 32)
        assert [tick.get_text() for tick in cpr.get_xticklabels()][0] == "base"


def test_published_checkpoints_have_no_training_step(tmp_path):
    tables = {"trained": read_frame(areas_table(tmp_path), areas.COLUMNS)}
    axes = areas.figure(tables, {}, "x").axes[1]
    assert axes.get_xlabel() == "checkpoint" and axes.get_xticklabels()[0].get_text() == "trained"


def test_without_another_task_the_legend_has_none(tmp_path):
    table = read_frame(areas_table(tmp_path), areas.COLUMNS)
    for rows, named in ((table, True), (table[table["circuit"] != "other-task"], False)):
        labels = [
            text.get_text() for text in areas.figure({"final": rows}, STEPS, "x").legends[0].get_texts()
        ]
        assert ("another task's circuit" in labels) == named and "circuit, held-out pairs" in labels


def test_nothing_measured_is_said(tmp_path):
    tables = {"final": read_frame(areas_table(tmp_path, interval=False), areas.COLUMNS)}
    for axes in areas.figure(tables, STEPS, "x").axes:
        assert axes.texts[0].get_text() == "no data"
    with pytest.raises(InputError, match="at least one checkpoint"):
        areas.draw({}, {}, "x", tmp_path / "f.png", tmp_path / "f.svg")
