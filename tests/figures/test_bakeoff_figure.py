import numpy as np
import pytest
from figures.bakeoff_tables import MORE, NAMES
from figures.bakeoff_tables import bakeoff as made_up

from rewire.errors import InputError
from rewire.figures import bakeoff
from rewire.figures.strategies import colours, in_order, read_bakeoff
from rewire.tables import read_table, write_table


def frames(made):
    return read_bakeoff(made.table, made.runs, bakeoff.COLUMNS, list(bakeoff.MEASURES))


def means(axes):
    return [line.get_xdata()[0] for line in axes.lines if line.get_label() == "mean"]


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    made = made_up(tmp_path)
    text = drawn(lambda png, svg: bakeoff.draw(made.table, made.runs, "small on newswire", png, svg))
    for label in ("ROUGE-L", "Facts right", "64 articles, 3 to 5 seeds", "24,576 (2.4 %)", "1,005,312 (all)"):
        assert label in text


def test_points_are_the_table_with_base_and_full_first(tmp_path):
    table, runs = frames(made_up(tmp_path))
    panels = bakeoff.figure(table, runs, "x").axes
    order = ["base", "full", "standard", "random", "circuit", "targeted"]
    rouge2 = table[table["measure"] == "rouge2"].set_index("strategy").loc[order]
    assert len(panels) == 12 and np.allclose(means(panels[1]), rouge2["mean"])
    assert [label.get_text().splitlines()[0] for label in panels[0].get_yticklabels()] == order
    assert panels[0].get_xlim()[0] == 0
    for panel, reference in ((panels[5], "standard"), (panels[9], "random")):
        assert np.allclose(means(panel), rouge2[f"against_{reference}"].iloc[1:], equal_nan=True)
        assert panel.get_title(loc="left") == f"ROUGE-2: difference from {reference}"


def test_dots_are_the_runs_and_bands_what_could_be_found(tmp_path):
    table, runs = frames(made_up(tmp_path))
    panels = bakeoff.figure(table, runs, "x").axes
    dots = [dots.get_offsets()[:, 0].data for dots in panels[0].collections if len(dots.get_offsets()) > 1]
    assert [len(values) for values in dots] == [3, 3, 5, 3, 3]
    assert np.allclose(np.sort(dots[2]), np.sort(runs[runs["strategy"] == "random"]["rouge1"]))
    for panel, reference in ((panels[4], "standard"), (panels[8], "random")):
        reach = table[table["measure"] == "rouge1"][f"against_{reference}_detectable"].dropna()
        widths = sorted(bar.get_width() for bar in panel.patches)
        assert len(reach) == 3 and np.allclose(widths, sorted(2 * reach))


def test_a_marker_is_hollow_unless_a_difference_was_found(tmp_path):
    table, runs = frames(made_up(tmp_path))

    def hollow(verdict):
        panel = bakeoff.figure(table.assign(against_standard_verdict=verdict), runs, "x").axes[4]
        return sum(line.get_markerfacecolor() == "white" for line in panel.lines)

    assert (hollow("worse"), hollow("no difference found"), hollow(None)) == (0, 4, 4)


def test_missing_measures_and_differences_are_said(tmp_path):
    table, runs = frames(made_up(tmp_path))
    table = table[table["measure"] != "facts"].assign(against_standard=np.nan, against_random=np.nan)
    panels = bakeoff.figure(table, runs, "x").axes
    said = [[text.get_text() for text in axes.texts] for axes in panels]
    assert said == [[]] * 3 + [["no data"]] * 9


@pytest.mark.parametrize(
    "options", [{"names": NAMES[:1], "seeds": 1}, {"names": NAMES + MORE}, {"articles": 3}]
)
def test_one_to_ten_strategies_are_drawn(tmp_path, options):
    table, runs = frames(made_up(tmp_path, **options))
    figure = bakeoff.figure(table, runs, "x")
    assert len(figure.axes) == (12 if "random" in set(table["strategy"]) else 8)
    alone = table[table["strategy"] == "base"]
    assert len(bakeoff.figure(alone, runs, "x").axes) == 8


def test_strategies_have_an_order_and_colours_of_their_own():
    assert in_order(["b", "full", "a", "b", "base"]) == ["base", "full", "b", "a"]
    names = [*NAMES, *MORE]
    assert len({colours(names)[name] for name in names}) == len(names)


def test_errors_name_the_table(tmp_path):
    made = made_up(tmp_path, articles=5)
    runs = read_table(made.runs)
    write_table(tmp_path / "empty.parquet", [], runs.schema)
    with pytest.raises(InputError, match=r"empty\.parquet: the table has no rows"):
        bakeoff.draw(made.table, tmp_path / "empty.parquet", "x", tmp_path / "png", tmp_path / "svg")
    write_table(tmp_path / "odd.parquet", [runs.to_pylist()[0] | {"strategy": "odd"}], runs.schema)
    with pytest.raises(InputError, match=r"odd\.parquet: strategy 'odd'"):
        bakeoff.draw(made.table, tmp_path / "odd.parquet", "x", tmp_path / "png", tmp_path / "svg")
    with pytest.raises(InputError, match=r"runs\.parquet: no column 'measure'"):
        bakeoff.draw(made.runs, made.runs, "x", tmp_path / "png", tmp_path / "svg")
