import matplotlib.colors
import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import critical_layers
from rewire.figures.frames import read_frame
from rewire.lora.criticality import SCHEMA
from rewire.tables import write_table

SCORES = [2.5, -1.0, 0.3]


@pytest.fixture
def write(tmp_path):
    """Writes a criticality table of three layers with ``heads`` heads; returns its path."""

    def table(heads=2, q=(0.01, 0.2, None)):
        rows = [
            {"criterion": "differential", "layer": i, "value": SCORES[i], "p": q[i], "q": q[i]}
            for i in range(3)
        ]
        for name, scale in (("circuit", 1.0), ("circuit_raw", 100.0)):
            rows += [{"criterion": name, "layer": i, "value": scale * (i + 1)} for i in range(3)]
            rows += [
                {"criterion": name, "layer": i, "head": h, "value": scale * (i + 10 * h)}
                for i in range(3)
                for h in range(heads)
            ]
        write_table(tmp_path / "criticality.parquet", rows, SCHEMA)
        return tmp_path / "criticality.parquet"

    return table


def panels(path):
    return critical_layers.figure(read_frame(path, critical_layers.COLUMNS), "final", "x").axes


def test_both_files_and_the_same_bytes(write, drawn):
    path = write()
    text = drawn(lambda png, svg: critical_layers.draw(path, "final", "small on newswire", png, svg))
    assert "Critical layers, final against base: small on newswire" in text
    for words in ("sum of z-scores over layers", "q &lt; .05", "head", "layer"):
        assert words in text or words.replace("&lt;", "<") in text


def test_a_bar_a_layer_filled_where_its_change_is_no_chance(write):
    differential, circuit, raw, _, *_ = panels(write())
    assert [bar.get_width() for bar in differential.patches] == SCORES
    faces = [matplotlib.colors.to_hex(bar.get_facecolor()) for bar in differential.patches]
    assert faces[0] != "#ffffff" and faces[1:] == ["#ffffff", "#ffffff"]
    assert [bar.get_width() for bar in circuit.patches] == [1, 2, 3]
    assert [bar.get_width() for bar in raw.patches] == [100, 200, 300]
    assert differential.get_ylim()[0] < differential.get_ylim()[1]  # layer 0 at the bottom


def test_heads_are_a_map_with_layer_0_at_the_bottom(write):
    heads = panels(write())[3]
    mesh = heads.collections[0]
    assert np.allclose(mesh.get_array(), [[0, 10], [1, 11], [2, 12]])
    assert heads.get_ylim() == (0, 3) and len(heads.texts) == 6
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 12)
    assert len(panels(write(heads=60))[3].texts) == 0  # too many for numbers


def test_a_table_without_heads_or_scores_says_so(tmp_path, write):
    rows = [{"criterion": "differential", "layer": 0, "value": 0.0}]
    write_table(tmp_path / "few.parquet", rows, SCHEMA)
    differential, circuit, _, heads = panels(tmp_path / "few.parquet")[:4]
    assert len(differential.patches) == 1
    assert [text.get_text() for text in (*circuit.texts, *heads.texts)] == ["no data", "no data"]


def test_an_empty_table_is_named(tmp_path):
    write_table(tmp_path / "none.parquet", [], SCHEMA)
    with pytest.raises(InputError, match=r"none\.parquet: the table has no rows"):
        critical_layers.draw(tmp_path / "none.parquet", "final", "x", tmp_path / "a.png", tmp_path / "a.svg")
    assert not (tmp_path / "a.png").exists()
