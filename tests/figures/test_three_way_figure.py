import numpy as np
import pytest
from differential_examples import made_up_examples

from rewire.differential.tables import write_examples
from rewire.differential.three_way import SIDES, write_three_way
from rewire.figures import three_way
from rewire.figures.frames import read_frame


@pytest.fixture
def path(tmp_path):
    sides = {}
    for seed, (name, size) in enumerate(zip(SIDES, (1.0, 0.5, 0.7), strict=True)):
        sides[name] = (tmp_path / f"{name}-layers.parquet", tmp_path / f"{name}-heads.parquet")
        write_examples(made_up_examples(size=size, seed=seed), *sides[name])
    write_three_way(sides, 300, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_both_files_and_the_same_bytes(path, drawn):
    text = drawn(lambda png, svg: three_way.draw(path, "small on newswire", png, svg))
    for label in ("fine-tuned against base", "LoRA against base", "LoRA against fine-tuned", "12 examples"):
        assert label in text


def test_three_curves_and_stars(path):
    frame = read_frame(path, three_way.COLUMNS)
    axes = three_way.figure(frame, "x").axes[list(three_way.PANELS).index("attention_kl")]
    curves = [line for line in axes.lines if line.get_marker() == "o"]
    rows = frame[(frame["measure"] == "attention_kl") & (frame["family"] == "layers")]
    for line, side in zip(curves, SIDES, strict=True):
        assert np.allclose(line.get_ydata(), rows[rows["comparison"] == side]["value"])
    (stars,) = (line for line in axes.lines if line.get_marker() == "*")
    different = rows[(rows["comparison"] == "lora-finetuned") & (rows["q"] < 0.05)]
    assert len(different) and list(stars.get_xdata()) == different["layer"].tolist()


def test_equal_changes_have_no_star(path):
    frame = read_frame(path, three_way.COLUMNS).assign(q=0.5)
    for axes in three_way.figure(frame, "x").axes:
        assert not [line for line in axes.lines if line.get_marker() == "*"]
