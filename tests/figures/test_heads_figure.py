import numpy as np
import pytest
from differential_examples import made_up_tables

from rewire.figures import heads
from rewire.figures.curves import SUMMARY
from rewire.figures.frames import read_frame
from rewire.figures.head_map import numbers


@pytest.fixture
def path(tmp_path):
    return made_up_tables(tmp_path / "final", n_heads=4)["summary"]


@pytest.fixture
def frame(path):
    return read_frame(path, SUMMARY)


def test_both_files_and_the_same_bytes(path, drawn):
    text = drawn(lambda png, svg: heads.draw(path, "step-001000", "small on newswire", png, svg))
    assert "Attention heads, step 1,000 against base: small on newswire" in text
    assert "means over 12 examples; dot: q" in text


def test_maps_and_colours_of_change_are_centred(frame):
    entropy, inequality, kl, js = heads.figure(frame, "final", "x").axes[:4]
    for axes, measure in zip(
        (entropy, inequality, kl, js), (*heads.CHANGES, *heads.DIVERGENCES), strict=True
    ):
        rows = frame[(frame["family"] == "heads") & (frame["measure"] == measure)]
        mesh = axes.collections[0]
        assert np.allclose(mesh.get_array().ravel(), rows["value"])
        assert mesh.norm.vmin == (-mesh.norm.vmax if measure in heads.CHANGES else 0)
        assert len(axes.texts) == 16 and axes.get_ylim() == (0, 4)  # layer 0 at the bottom


def test_a_dot_where_the_change_is_no_chance(frame):
    frame.loc[frame["measure"] == "entropy_change", "q"] = 0.5
    chosen = (frame["family"] == "heads") & (frame["measure"] == "entropy_change")
    frame.loc[chosen & (frame["layer"] == 2) & (frame["head"] == 1), "q"] = 0.01
    entropy, _, kl, _ = heads.figure(frame, "final", "x").axes[:4]
    ((x, y),) = entropy.collections[1].get_offsets()
    assert (int(x), int(y)) == (1, 2) and len(kl.collections) == 1
    falls = frame[chosen & (frame["value"] < 0)]
    title = f"Entropy falls in {len(falls)} of 16 heads ({100 * len(falls) / 16:.0f} %), 1 with q < .05"
    assert entropy.get_title(loc="left") == title


def test_many_heads_are_not_annotated(tmp_path):
    many = read_frame(made_up_tables(tmp_path / "m", n=6, n_layers=9, n_heads=8)["summary"], SUMMARY)
    assert not heads.figure(many, "final", "x").axes[0].texts


def test_a_model_against_itself_and_no_data(frame):
    same = frame.assign(value=0.0, q=np.nan)
    same.loc[same["measure"] == "attention_js", "value"] = np.nan
    entropy, _, kl, js = heads.figure(same, "base", "x").axes[:4]
    assert entropy.get_title(loc="left") == "Entropy falls in 0 of 16 heads (0 %), 0 with q < .05"
    assert entropy.collections[0].norm.vmax == 1 and len(entropy.collections) == 1
    assert js.texts[0].get_text() == "no data"


def test_small_values_keep_a_digit():
    assert numbers(np.array([[0.0012, -0.0004]]), True).tolist() == [["+0.0012", "−0.0004"]]
    assert numbers(np.array([[1.5, 0.0]]), False).tolist() == [["1.50", "0.00"]]
    assert numbers(np.zeros((1, 1)), False).tolist() == [["0.00"]]
