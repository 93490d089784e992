import dataclasses
import itertools

import pytest

from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.training.state import RunState


def config(**changes):
    return TrainConfig(**{"data": "data", "run_directory": "run", "epochs": 10, "patience": 2, **changes})


def state(*val_losses):
    return RunState([{"epoch": i + 1, "val_loss": loss} for i, loss in enumerate(val_losses)])


def epochs(*figures):
    """(val_loss, val_mae, calibration) per epoch."""
    return [dict(zip(("val_loss", "val_mae", "calibration"), figure, strict=True)) for figure in figures]


@pytest.mark.parametrize(
    ("losses", "best", "finished"),
    [
        ((), None, False),
        ((3.0,), 0, False),
        ((3.0, 4.0), 0, False),
        ((3.0, 4.0, 5.0), 0, True),
        ((3.0, 4.0, 2.9), 2, False),
        ((3.0, 4.0, 2.9, 3.0, 2.9), 2, True),  # equal is no improvement
        ((5.0, 4.0, 3.0, 2.0), 3, False),
        (tuple(range(10, 0, -1)), 9, True),  # all epochs done
    ],
)
def test_a_run_ends_after_patience_epochs_without_improvement(losses, best, finished):
    assert state(*losses).best_epoch == best
    assert state(*losses).is_finished(config()) is finished


def test_the_monitor_selects_the_best_epoch():
    figures = epochs((1.0, 3.0, 0), (2.0, 1.0, 0), (3.0, 2.0, 0))
    assert [RunState(figures, monitor).best_epoch for monitor in ("loss", "mae")] == [0, 1]
    assert not RunState(figures, "mae").is_finished(config())
    assert RunState(figures, "loss").is_finished(config())


@pytest.mark.parametrize(
    ("calibrated", "by_loss", "by_mae"),
    [
        ([(-3.0, 1.0000001)], 2, 2),  # the mean error ties up to rounding
        ([(-3.0, 1.0000001), (-4.0, 1.0000002)], 3, 3),
        ([(-4.0, 1.0000001), (-3.0, 1.0)], 2, 2),
        ([(9.0, 1.0)], 0, 2),
    ],
)
def test_calibrated_weights_win(calibrated, by_loss, by_mae):
    figures = epochs((2.0, 3.0, 0), (8.0, 1.0, 0), *[(*figure, 1) for figure in calibrated])
    assert RunState(figures, "loss").best_epoch == by_loss
    assert RunState(figures, "mae").best_epoch == by_mae


def test_motion_that_is_trained_again_after_a_calibration_wins_by_the_monitor():
    figures = epochs((2.0, 3.0, 0), (1.0, 3.0, 1), (9.0, 2.0, 0))
    assert [RunState(figures, monitor).best_epoch for monitor in ("loss", "mae")] == [1, 2]


def test_the_best_epoch_is_the_last_or_the_best_before_it():
    figures = epochs((2.0, 3.0, 0), (1.0, 2.0, 0), (4.0, 2.5, 0), (3.0, 2.0, 1), (2.5, 2.1, 1), (9.0, 1.0, 0))
    for monitor in ("loss", "mae"):
        best = [RunState(figures[: count + 1], monitor).best_epoch for count in range(len(figures))]
        assert all(now in (before, epoch) for epoch, (before, now) in enumerate(itertools.pairwise(best), 1))


def test_patience_does_not_count_the_curriculum_and_waits_for_calibration():
    run = state(3.0, 4.0, 5.0)
    assert not run.is_finished(config(curriculum=(1, 1)))
    assert run.is_finished(config(curriculum=(1,)))
    calibrating = config(calibration_epochs=1, model=ModelConfig(head="kinematic"))
    assert not run.is_finished(calibrating)
    assert run.is_finished(dataclasses.replace(calibrating, epochs=3))
