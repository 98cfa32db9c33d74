import numpy as np

from rewire.figures import pairs
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tables, drawn):
    table = tables.effects(["base", "step-001000", "final"])
    text = drawn(lambda png, svg: pairs.draw(table, "small on newswire", png, svg))
    for label in ("mask-salient", "step 1,000", "nats a token", "n = 64"):
        assert label in text


def test_a_mean_and_the_examples_of_each_checkpoint(tables):
    frame = read_frame(tables.effects(["base", "final"]), pairs.COLUMNS)
    (axes,) = pairs.figure(frame, "x").axes
    means = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "mean"]
    effect = frame["nll_corrupted"] - frame["nll_clean"]
    expected = effect.groupby([frame["corruption"], frame["checkpoint"]], sort=False).mean()
    assert np.allclose(sorted(means), sorted(expected)) and len(means) == 4 * 2
    points = [c for c in axes.collections if len(c.get_offsets()) == 64]
    assert len(points) == 4 * 2


def test_too_few_examples_have_no_interval(tables):
    frame = read_frame(tables.effects(["base"], examples=3), pairs.COLUMNS)
    (axes,) = pairs.figure(frame, "x").axes
    ends = [line for line in axes.lines if line.get_marker() == "|"]
    assert ends and all(len(line.get_xdata()) == 0 for line in ends)


def test_nothing_measured_is_said(tables):
    frame = read_frame(tables.effects(["base"]), pairs.COLUMNS).assign(nll_clean=np.nan)
    (axes,) = pairs.figure(frame, "x").axes
    assert "no data" in [text.get_text() for text in axes.texts]
