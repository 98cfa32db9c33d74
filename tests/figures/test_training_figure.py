import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import training
from rewire.figures.frames import read_frame
from rewire.tables import schema, write_table


def test_both_files_and_a_name_with_markup_and_dollars_is_text(tables, drawn):
    table = tables.training()
    text = drawn(lambda png, svg: training.draw(table, "<b>&$\\frac$", png, svg))
    assert "Fine-tuning: &lt;b&gt;&amp;$\\frac$" in text and "<b>" not in text
    assert "loss (nats a token)" in text


def test_curves_are_the_measured_values(tables):
    frame = read_frame(tables.training(steps=100), training.COLUMNS)
    loss, rate, norm = training.figure(frame, "x").axes
    train, validation = loss.lines
    assert list(train.get_xdata()) == list(range(10, 101, 10))
    assert list(validation.get_xdata()) == [0, 10, 30, 100]  # null where not measured: no point, not a zero
    assert validation.get_ydata()[0] == 4.9 and "at step 100" in loss.get_title(loc="left")
    assert len(rate.lines) == len(norm.lines) == 1


def test_nothing_measured_is_said(tables):
    columns = dict.fromkeys(training.COLUMNS[1:], "float64")
    empty = {name: float("nan") for name in columns}
    path = tables.write("nan.parquet", [{"step": 0, **empty}], {"step": "int64"} | columns)
    panels = training.figure(read_frame(path, training.COLUMNS), "x").axes
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [["no data"]] * 3


def test_bad_tables_are_named(tables, tmp_path):
    files = (tmp_path / "t.png", tmp_path / "t.svg")
    write_table(tmp_path / "empty.parquet", [], schema(**dict.fromkeys(training.COLUMNS, "float64")))
    with pytest.raises(InputError, match=r"empty.parquet: the table has no rows"):
        training.draw(tmp_path / "empty.parquet", "x", *files)
    write_table(tmp_path / "other.parquet", [{"step": 1}], schema(step="int64"))
    with pytest.raises(InputError, match=r"other.parquet: no column 'train_loss'; it has step"):
        training.draw(tmp_path / "other.parquet", "x", *files)
    assert not any(file.exists() for file in files)


def test_a_failed_drawing_leaves_the_old_files(tables, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    table, (png, svg) = tables.training(steps=50), (tmp_path / "t.png", tmp_path / "t.svg")
    training.draw(table, "x", png, svg)
    before = png.read_bytes(), svg.read_bytes()

    def savefig(self, path, format, **options):
        if format == "svg":
            raise OSError("disk full")
        np.zeros(3).tofile(path)

    monkeypatch.setattr(Figure, "savefig", savefig)
    with pytest.raises(InputError, match=r"t\.svg: cannot be written: disk full"):
        training.draw(table, "y", png, svg)
    assert (png.read_bytes(), svg.read_bytes()) == before
