import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import layers
from rewire.figures.frames import read_frame

TUNED = ("step-000100", "final")


def frames(tables, names=TUNED):
    return (
        {c: read_frame(tables.layers(c), layers.LAYERS) for c in names},
        {c: read_frame(tables.heads(c), layers.HEADS) for c in names},
    )


def test_both_files_and_the_same_bytes(tables, drawn):
    paths = {c: tables.layers(c) for c in TUNED}, {c: tables.heads(c) for c in TUNED}
    text = drawn(lambda png, svg: layers.draw(*paths, tables.steps, "small on newswire", png, svg))
    for label in ("step 100", "final (step 1,500)", "layer (0 = embedding)", "after the final norm"):
        assert label in text


def test_curves_and_the_band_of_the_last_checkpoint(tables):
    distances, heads = frames(tables)
    hidden, kl, entropy = layers.figure(distances, heads, tables.steps, "x").axes
    curves = [line for line in hidden.lines if line.get_marker() == "o"]
    hollow = [line for line in hidden.lines if line.get_marker() == "D"]
    assert [len(line.get_xdata()) for line in curves] == [5, 5] and len(hollow) == 2
    final = distances["final"]
    residual = final[final["site"] == "residual"].groupby("layer")["cosine_distance"].mean()
    assert np.allclose(curves[-1].get_ydata(), residual)
    assert np.allclose(kl.lines[-1].get_ydata(), heads["final"].groupby("layer")["attention_kl"].mean())
    change = heads["final"]["entropy"] - heads["final"]["entropy_base"]
    drawn = [line.get_ydata() for line in entropy.lines if len(line.get_xdata()) == 4]
    assert np.allclose(drawn[-1], change.groupby(heads["final"]["layer"]).mean())
    assert len(kl.collections) == 1  # one band


def test_nan_is_a_panel_without_data(tables):
    distances, heads = frames(tables, ["final"])
    heads["final"] = heads["final"].assign(attention_kl=np.nan)
    _, kl, entropy = layers.figure(distances, heads, tables.steps, "x").axes
    assert kl.texts[0].get_text() == "no data" and not entropy.texts


def test_checkpoints_must_agree(tables, tmp_path):
    for paths in (({}, {}), ({"final": tables.layers()}, {})):
        with pytest.raises(InputError, match="same checkpoints"):
            layers.draw(*paths, tables.steps, "x", tmp_path / "l.png", tmp_path / "l.svg")
