import numpy as np
import pandas as pd
import pytest
from figures.bakeoff_tables import MORE, NAMES, bakeoff

from rewire.errors import InputError
from rewire.figures import bakeoff_losses

PLANS = pd.DataFrame({"strategy": ["s", "s"], "seed": [0, 1], "best_step": [20, 10], "best_loss": [1.0, 2.0]})
LOSSES = pd.DataFrame(
    [
        ("s", 0, 0, 9.0),
        ("s", 0, 10, 3.0),
        ("s", 0, 20, 1.0),
        ("s", 0, 30, 1.5),
        ("s", 1, 0, 9.0),
        ("s", 1, 10, 2.0),
    ],
    columns=["strategy", "seed", "step", "validation_loss"],
)
TUNING = pd.DataFrame(
    {"strategy": "s", "learning_rate": [0.1, 0.01], "best_loss": [1.0, np.nan], "chosen": [True, False]}
)


def lines(axes):
    return [[*map(float, line.get_xdata())] for line in axes.lines], [
        [*map(float, line.get_ydata())] for line in axes.lines
    ]


def test_both_files_and_the_same_bytes(tmp_path, drawn):
    made = bakeoff(tmp_path, articles=5)
    text = drawn(
        lambda png, svg: bakeoff_losses.draw(made.folders, made.tuning, "small on newswire", png, svg)
    )
    for label in (
        "LoRA bake-off, training: small on newswire",
        "nats a token",
        "kept step of a run",
        "random",
    ):
        assert label in text


def test_the_mean_ends_with_the_shortest_run_and_the_kept_steps_are_marked():
    whole, _, near = bakeoff_losses.figure(LOSSES, PLANS, TUNING, "x").axes
    steps, values = lines(whole)
    assert (steps[0], values[0]) == ([10], [2.5])  # both seeds; the loss before training is left out
    assert (steps[1], values[1]) == ([10, 20, 30], [3, 1, 1.5])  # the seed that went on
    assert (steps[-1], values[-1]) == ([20, 10], [1, 2])
    assert "loss before training: 9.000" in near.get_xlabel()
    assert near.get_ylim()[0] < 1 < 2 < near.get_ylim()[1]


def test_rates_that_were_measured_and_the_chosen_one():
    rates = bakeoff_losses.figure(LOSSES, PLANS, TUNING, "x").axes[1]
    assert rates.get_xscale() == "log"
    assert lines(rates) == ([[0.1], [0.1]], [[1], [1]])
    assert rates.lines[1].get_markersize() > rates.lines[0].get_markersize()


def test_nothing_measured_is_said():
    empty = bakeoff_losses.figure(
        LOSSES.assign(validation_loss=np.nan),
        PLANS.assign(best_loss=np.nan),
        TUNING.assign(best_loss=np.nan),
        "x",
    )
    assert [[text.get_text() for text in axes.texts] for axes in empty.axes] == [["no data"]] * 3


@pytest.mark.parametrize("names", [NAMES[:2], NAMES + MORE])
def test_a_line_in_the_legend_for_every_strategy(tmp_path, drawn, names):
    made = bakeoff(tmp_path, names, seeds=1, draws=1, articles=5, rates=(4e-3,))
    text = drawn(lambda png, svg: bakeoff_losses.draw(made.folders, made.tuning, "x", png, svg))
    assert all(f">{name}<" in text for name in names)


def test_errors_name_the_table(tmp_path):
    made = bakeoff(tmp_path, NAMES[:1], seeds=1, articles=5)
    out = tmp_path / "out.png", tmp_path / "out.svg"
    with pytest.raises(InputError, match=r"bakeoff\.parquet: no column 'learning_rate'"):
        bakeoff_losses.draw(made.folders, [made.table], "x", *out)
    (made.folders["standard", 0] / "plan.parquet").unlink()
    with pytest.raises(InputError, match=r"plan\.parquet"):
        bakeoff_losses.draw(made.folders, made.tuning, "x", *out)
    with pytest.raises(InputError, match="no LoRA runs"):
        bakeoff_losses.draw({}, [], "x", *out)
    assert not out[0].exists()
