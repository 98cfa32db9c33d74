import numpy as np
import pytest
from differential_examples import made_up_tables

from rewire.errors import InputError
from rewire.figures import layers
from rewire.figures.curves import SUMMARY
from rewire.figures.frames import read_frame

STEPS = {"base": 0, "step-000100": 100, "final": 1500}
TUNED = ("step-000100", "final")


@pytest.fixture
def paths(tmp_path):
    return {c: made_up_tables(tmp_path / c, STEPS[c] / 1500 + 0.1)["summary"] for c in TUNED}


@pytest.fixture
def frames(paths):
    return {checkpoint: read_frame(path, SUMMARY) for checkpoint, path in paths.items()}


def test_both_files_and_the_same_bytes(paths, drawn):
    text = drawn(lambda png, svg: layers.draw(paths, STEPS, "small on newswire", png, svg))
    for label in (
        "step 100",
        "final (step 1,500)",
        "layer (0: embedding)",
        "after the final norm",
        "12 examples",
    ):
        assert label in text


def test_curves_and_the_band_of_the_last_checkpoint(frames):
    axes = layers.figure(frames, STEPS, "x").axes
    titles = [panel.get_title(loc="left") for panel in axes]
    assert titles[:4] == ["Cosine distance", "Centred cosine distance", "Linear CKA", "RSA"]
    hidden, kl = axes[0], axes[5]
    curves = [line for line in hidden.lines if line.get_marker() == "o"]
    hollow = [line for line in hidden.lines if line.get_marker() == "D"]
    assert [len(line.get_xdata()) for line in curves] == [5, 5] and len(hollow) == 2
    final = frames["final"]
    rows = final[(final["measure"] == "cosine_distance") & (final["site"] == "residual")]
    assert np.allclose(curves[-1].get_ydata(), rows["value"])
    rows = final[(final["measure"] == "attention_kl") & (final["family"] == "layers")]
    assert np.allclose(kl.lines[-1].get_ydata(), rows["value"]) and len(kl.collections) == 1  # one band


def test_activations_are_the_last_checkpoints_by_block(frames):
    activations = layers.figure(frames, STEPS, "x").axes[4]
    curves = [line for line in activations.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in curves] == [[0, 1, 2, 3]] * 4
    final = frames["final"]
    after = final[(final["measure"] == "norm_change") & (final["site"] == "residual") & (final["layer"] > 0)]
    assert np.allclose(curves[0].get_ydata(), after["value"])


def test_too_few_examples_have_no_band_and_say_so(tmp_path, drawn):
    few = {"final": made_up_tables(tmp_path / "few", n=3)["summary"]}
    figure = layers.figure({"final": read_frame(few["final"], SUMMARY)}, STEPS, "x")
    assert not figure.axes[5].collections
    text = drawn(lambda png, svg: layers.draw(few, STEPS, "x", png, svg))
    assert "no interval:" in text and "3 examples" in text


def test_nan_is_a_panel_without_data(frames):
    table = frames["final"]
    frames["final"] = table.assign(value=table["value"].where(table["measure"] != "attention_kl"))
    axes = layers.figure({"final": frames["final"]}, STEPS, "x").axes
    assert axes[5].texts[0].get_text() == "no data" and not axes[6].texts


def test_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(InputError, match="at least one checkpoint"):
        layers.draw({}, STEPS, "x", tmp_path / "l.png", tmp_path / "l.svg")
