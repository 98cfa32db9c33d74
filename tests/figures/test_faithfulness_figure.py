import numpy as np
import pytest
from figures.faithfulness_tables import FRACTIONS, STEPS, curve_table

from rewire.errors import InputError
from rewire.figures import faithfulness
from rewire.figures.frames import read_frame


@pytest.fixture
def frames(tmp_path):
    def read(names=tuple(STEPS), **options):
        return {c: read_frame(curve_table(tmp_path, c, **options), faithfulness.COLUMNS) for c in names}

    return read


def curves(axes, marker="o"):
    return [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata()) > 2]


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    paths = {c: curve_table(tmp_path, c) for c in STEPS}
    text = drawn(lambda png, svg: faithfulness.draw(paths, STEPS, "small on newswire", png, svg))
    for label in (
        "20 random circuits, 5–95 %",
        "final (step 1,500)",
        "KL(whole ‖ circuit) (nats)",
        "KL(circuit ‖ whole) (nats)",
        "the pairs that scored it",
        "held-out pairs",
        "another task's circuit",
    ):
        assert label in text, label


def test_every_checkpoint_is_drawn_as_it_does_on_held_out_pairs(frames):
    tables = frames()
    *panels, keys = faithfulness.figure(tables, STEPS, "x").axes
    assert len(panels) == len(faithfulness.MEASURES) and not keys.axison
    for axes, measure in zip(panels, faithfulness.MEASURES, strict=True):
        assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
        for line, table in zip(curves(axes), tables.values(), strict=True):
            own = table[(table["circuit"] == "held-out") & (table["ranking"] == "absolute")]
            assert np.allclose(line.get_xdata(), 100 * own["fraction"])
            assert np.allclose(line.get_ydata(), own[measure])
        other, last = curves(axes, "s")[0], tables["final"]
        assert np.allclose(other.get_ydata(), last.loc[last["circuit"] == "other-task", measure])
        assert len(axes.collections) == 2  # random circuits, the last checkpoint's interval


def test_the_band_of_random_circuits_and_the_best_one(frames):
    table = frames(["final"])["final"]
    axes = faithfulness.figure({"final": table}, STEPS, "x").axes
    null = table[table["circuit"] == "random"].groupby("fraction")
    for panel, measure, best in ((axes[0], "normalised", "max"), (axes[1], "kl", "min")):
        corners = panel.collections[0].get_paths()[0].vertices
        for fraction, draws in null[measure]:
            heights = corners[np.isclose(corners[:, 0], 100 * fraction), 1]
            assert np.isclose(heights, draws.quantile(0.05)).any(), measure
            assert np.isclose(heights, draws.quantile(0.95)).any(), measure
        thin = next(
            line for line in panel.lines if line.get_linewidth() == 0.9 and len(line.get_xdata()) == 10
        )
        assert np.allclose(thin.get_ydata(), null[measure].agg(best))


def test_earlier_checkpoints_have_their_own_best_random_circuit(frames):
    tables = frames()
    for axes, best in zip(faithfulness.figure(tables, STEPS, "x").axes, ("max", "min"), strict=False):
        dotted = [line for line in axes.lines if line.get_zorder() == 1.9]
        measure = "normalised" if best == "max" else "kl"
        for line, table in zip(dotted, list(tables.values())[:-1], strict=True):
            null = table[table["circuit"] == "random"].groupby("fraction")[measure].agg(best)
            assert np.allclose(line.get_ydata(), null)
    alone = faithfulness.figure(frames(["final"]), STEPS, "x").axes
    assert not [line for line in alone[0].lines if line.get_zorder() == 1.9]


def test_a_checkpoint_where_corruption_may_change_nothing_has_no_f(frames, tmp_path):
    tables = frames()
    tables["base"] = read_frame(curve_table(tmp_path, "base", effect=0.2), faithfulness.COLUMNS)
    f, kl, *_ = faithfulness.figure(tables, STEPS, "x").axes
    assert len(curves(f)) == 2 and len(curves(kl)) == 3
    assert "not base" in f.get_xlabel() and "not base" not in kl.get_xlabel()


def test_nulls_are_those_of_the_last_checkpoint_that_has_f(frames, tmp_path):
    tables = frames()
    tables["final"] = read_frame(curve_table(tmp_path, effect=0.2), faithfulness.COLUMNS)
    f, kl, *_ = faithfulness.figure(tables, STEPS, "x").axes
    other = tables["step-000100"]
    assert np.allclose(
        curves(f, "s")[0].get_ydata(), other.loc[other["circuit"] == "other-task", "normalised"]
    )
    assert "interval and nulls of step 100" in f.get_xlabel() and "nulls" not in kl.get_xlabel()


def test_values_outside_are_cut_and_counted(frames):
    f = faithfulness.figure(frames(wild=True), STEPS, "x").axes[0]
    assert f.get_ylim()[1] == 1.5 and "outside the axis" in f.get_xlabel()


def test_one_checkpoint_without_intervals_nulls_or_another_task(frames):
    table = frames(["final"], draws=0)["final"]
    table = table[table["circuit"] != "other-task"]
    table = table.assign(**{c: np.nan for c in table if c.endswith(("_low", "_high"))})
    out = faithfulness.figure({"final": table}, STEPS, "x")
    f = out.axes[0]
    assert len(curves(f)) == 1 and not f.collections and not curves(f, "s")
    labels = [text.get_text() for legend in out.axes[-1].artists for text in legend.get_texts()]
    assert "the pairs that scored it" in labels and not any("random" in label for label in labels)


def test_nothing_measured_is_said(frames, tmp_path):
    table = frames(["final"])["final"].assign(**dict.fromkeys(faithfulness.MEASURES, np.nan))
    for axes in faithfulness.figure({"final": table}, STEPS, "x").axes[:-1]:
        assert axes.texts[0].get_text() == "no data"
    with pytest.raises(InputError, match="at least one checkpoint"):
        faithfulness.draw({}, {}, "x", tmp_path / "f.png", tmp_path / "f.svg")


def test_fractions_are_all_named_where_there_is_room(frames):
    f = faithfulness.figure(frames(), STEPS, "x").axes[0]
    assert list(f.get_xticks()) == pytest.approx([100 * fraction for fraction in FRACTIONS])
