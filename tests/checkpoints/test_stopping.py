"""When a run is over and which step is its best, by hand."""

import math

import pytest

from rewire.checkpoints.stopping import best_step, is_over, validation_losses


def test_losses_of_a_log() -> None:
    history = [{"step": 2, "loss": 1.0}, {"step": 2, "eval_loss": 3.0}, {"step": 4, "train_loss": 1.0}]
    assert validation_losses(history) == {2: 3.0}


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ({}, None),
        ({0: 1.0}, None),
        ({0: 1.0, 5: 2.0}, 5),  # step 0 is never the best
        ({5: 2.0, 10: 1.0, 15: 1.0}, 10),  # the first of equals
        ({5: math.nan, 10: 9.0}, 10),
        ({5: math.nan, 10: math.nan}, 5),
    ],
)
def test_the_best_step(losses: dict[int, float], best: int | None) -> None:
    assert best_step(losses) == best


@pytest.mark.parametrize(
    ("found", "over"),
    [
        ([], False),
        ([2.0], False),
        ([2.0, 1.9, 1.9], False),  # one validation without a better loss
        ([2.0, 1.9, 1.9, 1.9], True),
        ([2.0, 1.9, 2.5, 1.8], False),
        ([4.0, 3.5], True),  # better than each other, never than step 0
        ([math.nan, math.nan], True),
        ([2.0, math.nan, 1.9], False),
    ],
)
def test_a_run_is_over(found: list[float], over: bool) -> None:
    losses = {5 * (number + 1): loss for number, loss in enumerate(found)}
    assert is_over(losses, 3.0, 2) is over
    assert not is_over(losses, 3.0, 9)
