import numpy as np
import pytest
from figures import evolution_tables

from rewire.errors import InputError
from rewire.figures import evolution_layers
from rewire.figures.frames import read_frame


@pytest.fixture
def frames(tables):
    return (
        read_frame(evolution_tables.circuits(tables), evolution_layers.CIRCUITS),
        read_frame(evolution_tables.layers(tables), evolution_layers.LAYERS),
    )


def test_both_files_and_the_same_bytes(tables, drawn):
    paths = evolution_tables.circuits(tables), evolution_tables.layers(tables)
    text = drawn(lambda png, svg: evolution_layers.draw(*paths, "small on newswire", png, svg))
    for label in ("Against the base model", "edges born", "logits", "+3 −1"):
        assert label in text


def test_totals_and_shares_are_the_tables(frames):
    circuits, layers = frames
    axes = evolution_layers.figure(circuits, layers, "x").axes
    before = circuits[circuits["reference"] == "previous"]
    heights = [bar.get_height() for bar in axes[0].patches]
    assert heights == [*before["edges_born"], *(-before["edges_lost"])]
    sources, destinations = (axes[i].images[0].get_array() for i in (1, 2))
    assert sources.shape == destinations.shape == (5, 6)
    # layer i: i + 1 born and 1 lost of 10 + i + i + 1 in either circuit
    assert np.allclose(sources[:4, 0], [(i + 2) / (11 + 2 * i) for i in range(-1, 3)])
    assert np.allclose(destinations[:3, 5], [(i + 2) / (11 + 2 * i) for i in range(3)])
    assert np.ma.getmaskarray(sources)[4].all(), "no edge in either circuit"
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["input", "0", "1", "2", "3"]
    assert [label.get_text() for label in axes[2].get_yticklabels()] == ["0", "1", "2", "3", "logits"]


def test_many_cells_hold_no_numbers(tables, frames):
    layers = read_frame(evolution_tables.layers(tables, n_layers=36), evolution_layers.LAYERS)
    out = evolution_layers.figure(frames[0], layers, "x")
    assert not out.axes[1].texts and out.get_figheight() > 12


def test_a_missing_reference_is_panels_without_data(frames):
    circuits, layers = (frame[frame["reference"] == "base"] for frame in frames)
    axes = evolution_layers.figure(circuits, layers, "x").axes
    assert [panel.texts[0].get_text() for panel in axes[:3]] == ["no data"] * 3
    assert axes[4].images


def test_a_table_that_lacks_a_column_is_named(tables, tmp_path):
    paths = evolution_tables.circuits(tables), evolution_tables.circuits(tables)
    with pytest.raises(InputError, match="circuits.parquet: no column 'end'"):
        evolution_layers.draw(*paths, "x", tmp_path / "a.png", tmp_path / "a.svg")


def test_published_checkpoints_have_names_and_no_steps(tables, drawn):
    tables.steps = {"base": 0, "nearly-trained": 1, "trained": 2}
    paths = evolution_tables.circuits(tables), evolution_tables.layers(tables), "x"
    text = drawn(lambda png, svg: evolution_layers.draw(*paths, png, svg, named=True))
    assert "nearly-trained" in text and "training step" not in text and "step 1" not in text
