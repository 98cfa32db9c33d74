import numpy as np
import pytest
from figures import sequential_tables as made

from rewire.errors import InputError
from rewire.figures import (
    sequential_accuracy,
    sequential_changes,
    sequential_forgetting,
    sequential_heatmaps,
    sequential_masked,
    sequential_runs,
)
from rewire.figures.frames import read_frame

TASKS, SINGLE = len(made.TASKS), [run for run in made.runs() if run["kind"] == "single"]


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_figures_repeat_their_bytes(tables, drawn):
    few = made.runs(("add", "sub"), ("kept",))
    pairs, fits = made.pairs(tables, few, unlearned=["sub"])
    svg = drawn(lambda *files: sequential_forgetting.draw(pairs, fits, "calculator", *files))
    assert "kept" in svg and "then sub" in svg
    assert "learned" in drawn(lambda *files: sequential_heatmaps.draw(pairs, "x", *files))
    sides = made.pairs(tables)[0]
    assert "25,088" in drawn(lambda *files: sequential_masked.draw(sides, ["inside"], ["kept"], "x", *files))
    pairs, fits = made.pairs(tables, few, unlearned=["sub"])
    changes, table = made.changes(tables, few), made.checkpoints(tables, few)
    assert "while it is learned" in drawn(lambda *files: sequential_changes.draw(changes, "x", *files))
    assert "then sub" in drawn(lambda *files: sequential_accuracy.draw(table, "calculator", *files))


def test_variants_of_a_few_pairs_have_no_panels(tables):
    rows = read_frame(made.pairs(tables)[0], sequential_forgetting.COLUMNS)
    assert sequential_runs.main_variants(rows) == list(made.VARIANTS)
    assert sequential_runs.main_variants(rows[rows["variant"] == "inside"]) == ["inside"]
    assert sequential_runs.main_variants(rows[:0]) == []


def test_accuracy_has_a_panel_a_pair_and_curves_of_both_tasks_after_the_first_stage(tables):
    table = made.checkpoints(tables)
    axes = panels(sequential_accuracy.figure(read_frame(table, sequential_accuracy.COLUMNS), "x"))
    assert len(axes) == TASKS**2
    own, pair = axes[0], axes[1]
    assert len(own.lines) == 2 and not own.lines[1].get_xdata().max() > made.STEPS[-1]
    curves = [line for line in pair.lines if len(line.get_xdata()) == len(made.STEPS)]
    assert len(curves) == 2 + 4 * len(made.VARIANTS)
    later = [line for line in curves if line.get_xdata()[0] == made.STEPS[-1]]
    assert len(later) == 4 * len(made.VARIANTS)
    # the first task falls, the second rises
    falling = [
        np.ptp(line.get_ydata()) * np.sign(line.get_ydata()[-1] - line.get_ydata()[0]) for line in later[:4]
    ]
    assert falling[0] < 0 < falling[2]


def test_single_runs_alone_are_drawn(tables):
    table = read_frame(made.checkpoints(tables, SINGLE), sequential_accuracy.COLUMNS)
    axes = panels(sequential_accuracy.figure(table, "x"))
    assert len(axes) == TASKS**2 and all(len(panel.lines) == 2 for panel in axes)
    changed = read_frame(made.changes(tables, SINGLE), sequential_changes.COLUMNS)
    assert len(panels(sequential_changes.figure(changed, "x"))) == TASKS


def test_a_task_in_no_pair_has_no_row_among_pairs(tables):
    alone = {"run": "modulo", "kind": "single", "first": "modulo", "tasks": ["modulo"]}
    table = read_frame(made.checkpoints(tables, [*made.runs(), alone]), sequential_accuracy.COLUMNS)
    assert len(panels(sequential_accuracy.figure(table, "x"))) == TASKS**2


def test_a_panel_without_data_leaves_the_others_their_ticks(tables):
    some = [run for run in made.runs() if run["run"] in ("add", "sub", "add-sub/kept")]
    frames = {
        sequential_changes: read_frame(made.changes(tables, some), sequential_changes.COLUMNS),
        sequential_accuracy: read_frame(made.checkpoints(tables, some), sequential_accuracy.COLUMNS),
    }
    for module, frame in frames.items():
        axes = panels(module.figure(frame, "x"))
        assert len(axes[0].get_yticks()) > 2 and len(axes[0].get_xticks()) > 1
    assert texts(panels(sequential_changes.figure(frames[sequential_changes], "x"))[-1]) == ["no data"]


def test_a_table_without_single_runs_is_named(tables, tmp_path):
    table = made.checkpoints(tables, [run for run in made.runs() if run["kind"] == "multi"])
    with pytest.raises(InputError, match="checkpoints.parquet: no single run"):
        sequential_accuracy.draw(table, "x", tmp_path / "a.png", tmp_path / "a.svg")
    assert not list(tmp_path.glob("a.*"))


def test_changes_are_means_over_second_tasks_beside_their_floor(tables):
    frame = read_frame(made.changes(tables), sequential_changes.COLUMNS)
    axes = panels(sequential_changes.figure(frame, "x"))
    assert len(axes) == TASKS * (1 + len(made.VARIANTS))
    alone, after = axes[0], axes[1]
    rows = frame[
        (frame["reference"] == "previous") & (frame["task"] == "add") & (frame["measure"] == "edge_turnover")
    ]
    single = rows[rows["run"] == "add"].sort_values("step")["value"]
    assert any(np.allclose(line.get_ydata(), single) for line in alone.lines if len(line.get_ydata()) == 3)
    mean = rows[(rows["first"] == "add") & (rows["variant"] == "kept")].groupby("step")["value"].mean()
    bold = [line for line in after.lines if line.get_marker() == "o"]
    assert len(bold) == 1 and np.allclose(bold[0].get_ydata(), mean)
    dotted = [line for line in after.lines if line.get_linestyle() == ":" or line.get_linewidth() == 1]
    assert len(dotted) == 2  # a floor of edges, one of nodes


def test_without_noise_floor_the_changes_are_drawn_alone(tables):
    frame = read_frame(made.changes(tables, SINGLE, floor=False), sequential_changes.COLUMNS)
    axes = panels(sequential_changes.figure(frame, "x"))
    assert all(len(panel.lines) == 2 for panel in axes)


def test_squares_hold_the_pairs_and_mark_what_was_not_learned(tables):
    frame = read_frame(made.pairs(tables, unlearned=["sub"])[0], sequential_heatmaps.COLUMNS)
    kept = frame[frame["variant"] == "kept"]
    square = sequential_heatmaps.square(kept, "forgetting", list(made.TASKS))
    assert np.isnan(np.diag(square)).all() and np.isnan(square[1]).all()
    row = kept[(kept["first"] == "add") & (kept["second"] == "max")].iloc[0]
    assert square[0, 2] == row["forgetting"]
    axes = panels(sequential_heatmaps.figure(frame, "x"))
    assert len(axes) == 4 * len(made.VARIANTS)
    assert texts(axes[3]).count("not\nlearned") == TASKS - 1
    assert f"{row['forgetting']:.2f}" in texts(axes[3])


def test_forgetting_has_a_point_a_pair_both_fits_and_their_numbers(tables):
    pairs, fits = made.pairs(tables, unlearned=["sub"])
    read = read_frame(pairs, sequential_forgetting.COLUMNS), read_frame(fits, sequential_forgetting.FITTED)
    axes = panels(sequential_forgetting.figure(*read, "x"))
    assert len(axes) == 2 * len(made.VARIANTS)
    points = [
        line
        for line in axes[0].lines
        if line.get_marker() in sequential_runs.MARKERS and len(line.get_xdata()) == 1
    ]
    assert len(points) == TASKS * (TASKS - 1) - (TASKS - 1)
    curves = [line for line in axes[0].lines if len(line.get_xdata()) == sequential_forgetting.POINTS]
    assert len(curves) == 2
    title = axes[0].get_title(loc="left")
    r = read[1][
        (read[1]["variant"] == "kept")
        & (read[1]["overlap"] == "edge_jaccard")
        & (read[1]["statistic"] == "r")
    ]
    assert f"r {r['value'].iloc[0]:.2f} [" in title and "9 pairs, 3 left out" in title


def test_pairs_without_a_value_and_the_seed_of_the_bands_are_the_tables(tables):
    pairs, fits = made.pairs(tables, unlearned=["sub"])
    read = read_frame(pairs, sequential_forgetting.COLUMNS), read_frame(fits, sequential_forgetting.FITTED)
    read[1]["undefined"], read[1]["second_unlearned"] = 2, 4
    drawn = [panels(sequential_forgetting.figure(*read, "x", seed))[0] for seed in (0, 0, 1)]
    title = drawn[0].get_title(loc="left")
    assert "9 pairs, 3 left out (first task not learned)\n2 more without forgetting or overlap\n" in title
    assert "\nsecond task not learned in 4 of them\n" in title
    bands = [axes.collections[-1].get_paths()[0].vertices for axes in drawn]
    assert np.array_equal(bands[0], bands[1]) and not np.array_equal(bands[0], bands[2])


def test_two_pairs_are_drawn_without_a_fit(tables):
    few = [run for run in made.runs(("add", "sub"), ("kept",)) if run["kind"] == "sequential"]
    pairs, fits = made.pairs(tables, few)
    read = read_frame(pairs, sequential_forgetting.COLUMNS), read_frame(fits, sequential_forgetting.FITTED)
    axes = panels(sequential_forgetting.figure(*read, "x"))
    assert "(no interval)" in axes[0].get_title(loc="left")
    assert not [line for line in axes[0].lines if len(line.get_xdata()) == sequential_forgetting.POINTS]


VARIANTS = (*made.VARIANTS, "inside")


def test_masked_has_a_row_a_pair_that_the_sides_are_run_on_and_a_point_a_variant(tables):
    frame = read_frame(made.pairs(tables)[0], sequential_masked.COLUMNS)
    axes = panels(sequential_masked.figure(frame, ["inside"], made.VARIANTS, "x"))
    assert len(axes) == 3  # of all pairs one is run inside the circuit
    assert axes[0].get_ylabel() == "add → sub"
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(VARIANTS)
    rows = frame[(frame["first"] == "add") & (frame["second"] == "sub")].set_index("variant")
    for panel, column in zip(axes, sequential_masked.INTERVALS, strict=False):
        points = [line for line in panel.lines if line.get_marker() == "o"]
        found = {VARIANTS[int(line.get_ydata()[0])]: line.get_xdata()[0] for line in points}
        assert found == {variant: rows[column][variant] for variant in VARIANTS}
        assert len(panel.collections) == 3 and panel.get_legend() is None
    assert [bar.get_width() for bar in axes[2].patches] == [rows["parameters"][name] for name in VARIANTS]
    assert texts(axes[2]) == ["49,664", "49,664", "25,088"]


def test_masked_without_a_learned_first_task_says_so_and_names_a_table_without_the_variants(tables, tmp_path):
    table = made.pairs(tables, unlearned=["add"])[0]
    axes = panels(
        sequential_masked.figure(read_frame(table, sequential_masked.COLUMNS), ["inside"], ["kept"], "x")
    )
    assert texts(axes[0]) == ["first task not learned"] and not texts(axes[1])
    with pytest.raises(InputError, match="pairs.parquet: no pair of outside, random"):
        sequential_masked.draw(
            table, ("outside", "random"), ["kept"], "x", tmp_path / "a.png", tmp_path / "a.svg"
        )
