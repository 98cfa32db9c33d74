import numpy as np
import pytest
from differential_examples import made_up_neurons

from rewire.figures import neurons
from rewire.figures.frames import read_frame
from rewire.figures.style import FAINT


@pytest.fixture
def path(tmp_path):
    return made_up_neurons(tmp_path / "neurons.parquet")


def test_both_files_and_the_same_bytes(path, drawn):
    text = drawn(lambda png, svg: neurons.draw(path, "final", 2, "small on newswire", png, svg))
    assert "MLP neurons, final against base: small on newswire" in text
    for layer in range(4):
        assert f">{layer}.3<" in text  # named in the cloud
    assert "Largest |d| of each layer (top 2)" in text


def test_points_rings_and_names(path):
    frame = read_frame(path, neurons.COLUMNS)
    cloud, named = neurons.figure(frame, "final", 2, "x").axes
    points, rings = cloud.collections
    assert len(points.get_offsets()) == 64 and len(rings.get_offsets()) == 8
    labels = [label.get_text() for label in named.get_yticklabels()]
    best = frame[frame["rank"] <= 2].sort_values(["layer", "rank"])
    assert [label.split()[0] for label in labels] == [f"{r.layer}.{r.neuron}" for r in best.itertuples()]
    assert labels[0].startswith("0.3") and "(d −" in labels[0]


def test_neurons_without_a_test_are_grey(tmp_path):
    frame = read_frame(made_up_neurons(tmp_path / "n.parquet", n=4), neurons.COLUMNS)
    figure = neurons.figure(frame, "final", 1, "x")
    colours = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(colours[:, :3], axis=0)) == 1
    assert np.allclose(colours[0, :3], [int(FAINT[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    assert "0 (0 of 16)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_example_has_no_effect_size(tmp_path):
    frame = read_frame(made_up_neurons(tmp_path / "n.parquet", n=1), neurons.COLUMNS)
    for axes in neurons.figure(frame, "final", 3, "x").axes:
        assert axes.texts[0].get_text() == "no data"
