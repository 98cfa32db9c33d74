import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import pairs
from rewire.figures.frames import read_frame

CORRUPTIONS = ("mask", "random", "noise")


def panels(tables, checkpoints=("base", "final"), change=lambda agreement: agreement, **options):
    """Its effects table and the panels: effect, overlaps, and the colour bar if there is one."""
    effects = read_frame(tables.effects(list(checkpoints), **options), pairs.EFFECTS)
    agreement = read_frame(
        tables.agreement(corruptions=options.get("corruptions", CORRUPTIONS)), pairs.AGREEMENT
    )
    return effects, pairs.figure(effects, change(agreement), "x").axes


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_both_files_and_names_with_markup_are_text(tables, drawn):
    effects, agreement = tables.effects(["base", "step-001000", "final"]), tables.agreement()
    text = drawn(lambda png, svg: pairs.draw(effects, agreement, "<b>&$x$", png, svg))
    assert "costs and changes: &lt;b&gt;&amp;$x$" in text and "<b>" not in text
    for label in ("resample", "step 1,000", "nats a token", "n = 64", "noise floor 0."):
        assert label in text


def test_a_mean_and_the_examples_of_each_checkpoint(tables):
    effects, (axes, *_) = panels(tables)
    means = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "mean"]
    effect = effects["nll_corrupted"] - effects["nll_clean"]
    expected = effect.groupby([effects["corruption"], effects["checkpoint"]], sort=False).mean()
    assert np.allclose(sorted(means), sorted(expected)) and len(means) == 4 * 2
    points = [c for c in axes.collections if len(c.get_offsets()) == 64]
    assert len(points) == 4 * 2


def test_too_few_examples_have_no_interval(tables):
    _, (axes, *_) = panels(tables, ["base"], examples=3)
    ends = [line for line in axes.lines if line.get_marker() == "|"]
    assert ends and all(len(line.get_xdata()) == 0 for line in ends)


@pytest.mark.parametrize("n", [1, 3, 12])
def test_the_number_of_every_two_corruptions_in_its_cell(tables, n):
    names = [f"corruption-{i}" for i in range(n)]
    _, (left, right, _) = panels(tables, corruptions=names)
    assert [tick.get_text() for tick in left.get_yticklabels()] == names
    assert [tick.get_text() for tick in right.get_xticklabels()] == names
    assert left.get_ylim() == right.get_ylim()
    cells = {text.get_position(): text.get_text() for text in right.texts}
    assert cells == {(j, i): f"{1 / (1 + abs(i - j)):.2f}" for i in range(n) for j in range(n)}


def test_cells_without_a_value_are_empty_and_the_floor_is_in_the_title(tables):
    def change(agreement):
        own = (agreement["study"] == "corruption") & (agreement["first"] == "mask")
        return agreement.assign(edge_jaccard=agreement["edge_jaccard"].mask(own))

    _, (_, right, bar) = panels(tables, corruptions=CORRUPTIONS, change=change)
    assert len(right.texts) == 6 and right.collections[0].get_array().mask is not np.ma.nomask
    agreement = read_frame(tables.agreement(), pairs.AGREEMENT)
    own = agreement[(agreement["model"] == "final") & (agreement["study"] == "bootstrap")]["edge_jaccard"]
    assert right.get_title(loc="left").endswith(
        f"noise floor {own.mean():.2f} (5–95 %: {own.quantile(0.05):.2f}–{own.quantile(0.95):.2f})"
    )
    marks = [segment[0][1] for segment in bar.collections[-1].get_segments()]
    assert np.allclose(marks, [own.mean(), own.quantile(0.05), own.quantile(0.95)])


def test_corruptions_whose_circuit_has_no_edge_are_named(tables):
    def change(agreement):
        return agreement.assign(edges=agreement["edges"].where(agreement["first"] != "random", 0))

    _, (_, right, _) = panels(tables, corruptions=CORRUPTIONS, change=change)
    assert right.get_xlabel().startswith("no edge: random (two such")
    _, (_, right, _) = panels(tables, corruptions=CORRUPTIONS)
    assert not right.get_xlabel()


def test_what_was_not_measured_is_said(tables):
    effects = read_frame(tables.effects(["base"]), pairs.EFFECTS).assign(nll_clean=np.nan)
    agreement = read_frame(tables.agreement(), pairs.AGREEMENT)
    left, right = pairs.figure(effects, agreement[agreement["study"] != "corruption"], "x").axes
    assert words(left) == words(right) == ["no data"]


def test_bad_tables_are_named(tables, tmp_path):
    files = tmp_path / "t.png", tmp_path / "t.svg"
    with pytest.raises(InputError, match=r"effects.parquet: no column 'model'"):
        pairs.draw(tables.effects(["base"]), tables.effects(["base"]), "x", *files)
    assert not any(file.exists() for file in files)
