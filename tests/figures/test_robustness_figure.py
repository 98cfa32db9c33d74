import ast
from pathlib import Path

import numpy as np
import pytest

import rewire
from rewire.errors import InputError
from rewire.figures import robustness
from rewire.figures.frames import read_frame

MODELS = ("base", "final", "random weights")


def panels(tables, change=lambda agreement: agreement, kept: int = 40, **options):
    """The figure, its agreement table and its four panels: edges, nodes, inclusion, noise."""
    agreement = change(read_frame(tables.agreement(**options), robustness.AGREEMENT))
    edges = read_frame(tables.inclusion(options.get("models", MODELS), kept), robustness.EDGES)
    out = robustness.figure(agreement, edges, "x")
    return out, agreement, out.axes


def labels(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_both_files_and_names_with_markup_are_text(tables, drawn):
    paths = tables.agreement(), tables.inclusion()
    text = drawn(lambda png, svg: robustness.draw(*paths, "<b>&$\\frac$", png, svg))
    assert "Robustness of the circuit: &lt;b&gt;&amp;$\\frac$" in text and "<b>" not in text
    for label in (
        "Jaccard, shared / either",
        "random weights",
        "(n = 100)",
        "tokens of the article replaced (%)",
    ):
        assert label in text


@pytest.mark.parametrize(("panel", "column"), [(0, "edge_jaccard"), (1, "node_jaccard")])
def test_every_pair_is_a_point_under_its_mean_and_range(tables, panel, column):
    _, agreement, axes = panels(tables)
    compared = agreement[agreement["study"].isin(["split", "bootstrap"])]
    groups = compared.groupby(["study", "model"])[column]
    means = [line.get_xdata()[0] for line in axes[panel].lines if line.get_label() == "mean"]
    assert np.allclose(sorted(means), sorted(groups.mean())) and len(means) == 2 * 3
    clouds = [
        c.get_offsets()[:, 0]
        for c in axes[panel].collections
        if hasattr(c, "get_sizes") and len(c.get_sizes())
    ]
    assert sorted(map(len, clouds)) == [10] * 3 + [100] * 3
    assert np.allclose(np.sort(np.concatenate(clouds)), np.sort(compared[column]))
    pale = [c for c in axes[panel].collections if c.get_alpha() == robustness.RANGE]
    ends = [x for bar in pale for x, _ in bar.get_segments()[0]]
    assert np.allclose(sorted(ends), sorted([*groups.quantile(0.05), *groups.quantile(0.95)]))
    mean_of = (
        0.6 if column == "edge_jaccard" else 0.8
    )  # an interval of the bootstrap's mean, none of the splits'
    ends = [line.get_xdata() for line in axes[panel].lines if line.get_marker() == "|"]
    assert np.allclose(np.concatenate(ends), [mean_of - 0.1, mean_of + 0.05] * 3)


def test_edges_by_rank_and_how_many_are_in_nine_of_ten_resamples(tables):
    out, _, axes = panels(tables, kept=50)
    edges = read_frame(tables.inclusion(kept=50), robustness.EDGES)
    legend = labels(out.legends[0])
    for model, curve, entry in zip(MODELS, axes[2].patches, legend, strict=True):
        own = edges[(edges["model"] == model) & edges["in_circuit"]]["inclusion"]
        assert np.array_equal(curve.get_data().values, np.sort(own)[::-1])
        assert entry == f"{model}\n{(own >= 0.9).sum()} of 50 edges"


def test_noise_over_the_floor_of_the_same_model(tables):
    _, agreement, axes = panels(tables, shares=(0.9, 0.1, 0.5))
    curves = {line.get_label(): line for line in axes[3].lines if not line.get_label().startswith("_")}
    assert list(curves["edges"].get_xdata()) == [10, 50, 90]
    assert np.allclose(curves["edges"].get_ydata(), [0.72, 0.4, 0.08])
    bars = axes[3].collections[0].get_segments()  # an interval of every share
    assert np.allclose(bars, [[(x, y - 0.05), (x, y + 0.04)] for x, y in ((10, 0.72), (50, 0.4), (90, 0.08))])
    own = agreement[(agreement["model"] == "final") & (agreement["study"] == "bootstrap")]
    for band, column in zip(axes[3].patches, ("edge_jaccard", "node_jaccard"), strict=True):
        assert np.allclose(
            band.get_extents().transformed(axes[3].transData.inverted()).intervaly,
            own[column].quantile([0.05, 0.95]),
        )
    assert "final" in axes[3].get_title(loc="left")


def test_too_few_pairs_have_points_but_no_range(tables):
    _, _, axes = panels(tables, splits=2, resamples=8)
    pale = [c.get_segments()[0] for c in axes[0].collections if c.get_alpha() == robustness.RANGE]
    assert len(pale) == 2 * 3 and not np.isfinite([x for bar in pale for x, _ in bar]).any()
    assert not axes[3].patches


def test_one_model_without_splits_and_noise(tables):
    out, _, axes = panels(tables, models=("base",), splits=0, shares=())
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == [
        "disjoint\nsplits\n(too few examples)",
        "bootstrap\n(n = 100)",
    ]
    assert axes[0].get_title(loc="left") == "Two circuits of one model: edges (64 examples)"
    assert words(axes[3]) == ["no data"] and len(out.legends) == 1


def test_too_few_examples_for_either_study_leave_noise_and_corruption(tables):
    """A split row without numbers and no bootstrap, as four examples and five splits give."""

    def few(agreement):
        split = agreement["study"] == "split"
        numbers = ["edges", "edge_jaccard", "node_jaccard"]
        agreement[numbers] = agreement[numbers].mask(split)
        return agreement[agreement["study"] != "bootstrap"]

    agreement = few(read_frame(tables.agreement(), robustness.AGREEMENT))
    edges = read_frame(tables.inclusion(), robustness.EDGES).assign(inclusion=np.nan)
    out = robustness.figure(agreement, edges, "x")
    assert [words(axes) for axes in out.axes] == [["no data"]] * 3 + [[]]
    assert "no edge" not in out.axes[0].get_xlabel()
    assert labels(out.legends[0]) == [f"{model}\nnot resampled" for model in MODELS]
    assert not out.axes[3].patches, "no noise floor"


def test_what_was_not_measured_is_said(tables):
    _, _, axes = panels(tables, lambda agreement: agreement.assign(edge_jaccard=np.nan))
    assert words(axes[0]) == ["no data"] and words(axes[1]) == []
    assert axes[3].get_legend_handles_labels()[1] == ["nodes"]


def test_circuits_without_an_edge_are_counted(tables):
    _, agreement, axes = panels(
        tables,
        lambda agreement: agreement.assign(edges=agreement["edges"].where(agreement["study"] != "split", 0)),
    )
    assert "(30 of 330 first circuits have no edge; two such count as 1)" in axes[0].get_xlabel()
    _, _, axes = panels(tables)
    assert "no edge" not in axes[0].get_xlabel()


def test_long_names_stay_beside_the_panels(tables):
    name = "finetuned-on-everything-under-the-sun-v3.0.0"
    out, _, axes = panels(tables, models=("base", name, "random weights"))
    out.draw_without_rendering()
    right = max(panel.get_tightbbox().x1 for panel in axes)
    assert all(legend.get_window_extent().x0 > right for legend in out.legends)


def test_bad_tables_are_named(tables, tmp_path):
    files = tmp_path / "t.png", tmp_path / "t.svg"
    with pytest.raises(InputError, match=r"effects.parquet: no column 'model'"):
        robustness.draw(tables.effects(["base"]), tables.inclusion(), "x", *files)
    with pytest.raises(InputError, match=r"agreement.parquet: no column 'inclusion'"):
        robustness.draw(tables.agreement(), tables.agreement(), "x", *files)
    assert not any(file.exists() for file in files)


def test_the_random_model_has_the_name_that_the_stage_gives_it():
    tree = ast.parse((Path(rewire.__file__).parent / "robustness.py").read_text())
    assigned = {
        ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(assigned["RANDOM"]) == robustness.RANDOM
