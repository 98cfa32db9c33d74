import numpy as np
import pytest
from differential_examples import made_up_tables

from rewire.differential.trajectories import write_trajectories
from rewire.figures import trajectories
from rewire.figures.frames import read_frame
from rewire.tables import schema, write_table

STEPS = {"step-000010": 10, "step-000100": 100, "step-000900": 900, "final": 1000}


@pytest.fixture
def write(tmp_path):
    """Writes a trajectories table of these steps; returns its path."""

    def table(steps, trained=True, **shape):
        tables = {name: made_up_tables(tmp_path / name, step / 1000, **shape) for name, step in steps.items()}
        training = tmp_path / "training.parquet"
        rows = [{"step": step, "gradient_norm": 1 / step} for step in range(5, 1001, 5)]
        write_table(training, rows, schema(step="int64", gradient_norm="float64"))
        write_trajectories(tables, steps, training if trained else None, tmp_path / "t.parquet")
        return tmp_path / "t.parquet"

    return table


def panels(path):
    axes = trajectories.figure(read_frame(path, trajectories.COLUMNS), "x").axes
    return dict(zip(trajectories.PANELS, axes, strict=True))


def test_both_files_and_the_same_bytes(write, drawn):
    path = write(STEPS)
    text = drawn(lambda png, svg: trajectories.draw(path, "small on newswire", png, svg))
    assert "Change from the base model by training step: small on newswire" in text
    assert "12 examples" in text


def test_a_curve_a_layer_with_its_band(write):
    path = write(STEPS)
    frame = read_frame(path, trajectories.COLUMNS)
    found = panels(path)
    curves = found["attention_kl"].lines
    assert len(curves) == 4 and len(found["attention_kl"].collections) == 4
    rows = frame[(frame["measure"] == "attention_kl") & (frame["family"] == "layers") & (frame["layer"] == 3)]
    assert list(curves[3].get_xdata()) == list(STEPS.values())
    assert np.allclose(curves[3].get_ydata(), rows["value"])
    assert len(found["cosine_distance"].lines) == 5
    assert len(found["gradient_norm"].lines[0].get_xdata()) == 200
    weights = frame[(frame["measure"] == "weight_change") & (frame["layer"] == 0)]
    assert np.allclose(found["weight_change"].lines[0].get_ydata(), weights.groupby("step")["value"].mean())


def test_steps_over_decades_are_logarithmic_with_legible_ticks(write):
    axes = panels(write(STEPS))["cka"]
    assert axes.get_xscale() == "log" and list(axes.get_xticks()) == [10, 100, 1000]


def test_published_checkpoints_are_evenly_spaced_and_have_no_gradient(write):
    found = panels(write({"one": 1, "two": 2, "three": 3}, trained=False))
    assert found["cka"].get_xscale() == "linear" and list(found["cka"].get_xticks()) == [1, 2, 3]
    assert found["gradient_norm"].texts[0].get_text() == "no data"


def test_published_checkpoints_have_their_names_under_the_axis(write, drawn):
    path = write({"nearly-trained": 1, "trained": 2}, trained=False)
    out = trajectories.figure(read_frame(path, trajectories.COLUMNS), "x", named=True)
    axes = dict(zip(trajectories.PANELS, out.axes, strict=True))["cka"]
    assert axes.get_xlabel() == "checkpoint" and list(axes.get_xticks()) == [1, 2]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["nearly-trained", "trained"]
    text = drawn(lambda png, svg: trajectories.draw(path, "adder", png, svg, named=True))
    assert "training step" not in text and "by checkpoint: adder" in text


def test_one_checkpoint_is_a_point(write):
    axes = panels(write({"final": 1000}))["cka"]
    assert len(axes.lines[0].get_xdata()) == 1 and list(axes.get_xticks()) == [1000]


def test_many_layers_have_no_bands(write):
    found = panels(write({"final": 1000}, n_layers=8))
    assert not found["attention_kl"].collections


def test_legible_steps():
    assert trajectories.legible([10, 25, 50, 100, 200, 250], True) == [10, 25, 50, 100, 250]
    assert trajectories.legible([1], False) == [1] and trajectories.legible([], False) == []
