import dataclasses
import types

import keras
import pytest

from socialmd_tf.config import TrainConfig
from socialmd_tf.training import loop, time_limit
from socialmd_tf.training.run import Run
from socialmd_tf.training.time_limit import TimeLimit, ValidationClock
from tests.socialmd_tf.training.small import SMALL, WINDOWS

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FORCES = dataclasses.replace(TrainConfig.of_preset("forces"), epochs=9, calibration_epochs=8)
KINEMATIC = TrainConfig(
    model=dataclasses.replace(SMALL, head="kinematic", interaction="none"), epochs=50, calibration_epochs=10
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set, or ticks at every look."""
    clock = types.SimpleNamespace(now=0.0, tick=0.0)

    def monotonic():
        clock.now += clock.tick
        return clock.now

    monkeypatch.setattr(time_limit, "time", types.SimpleNamespace(monotonic=monotonic))
    return clock


FIT, MAIN, CALIBRATION = {"calibration": 0.0}, {"calibration": 0.0}, {"calibration": 1.0}


@pytest.mark.parametrize(
    ("config", "epochs", "validation", "planned"),
    [
        (FORCES, [FIT], 0.1, (FORCES.epochs, FORCES.calibration_epochs)),  # time for all
        (FORCES, [FIT], 16.0, (3, 2)),  # 255 s less 5 validations, in epochs of 4 validations
        (FORCES, [FIT], 60.0, (1, 0)),  # only the closed form
        (FORCES, [FIT, CALIBRATION], 16.0, (4, 3)),
        (KINEMATIC, [], 1.0, (50, 10)),
        (KINEMATIC, [], 5.0, (11, 3)),
        (KINEMATIC, [], 1000.0, (2, 1)),  # never without calibration
        (KINEMATIC, [MAIN] * 3 + [CALIBRATION], 5.0, (15, 11)),
        (dataclasses.replace(KINEMATIC, calibration_epochs=0), [MAIN], 1000.0, (2, 0)),
    ],
)
def test_as_many_epochs_as_there_is_time_for(clock, config, epochs, validation, planned):
    found = TimeLimit(5.0).planned(config, epochs, validation)
    assert (found.epochs, found.calibration_epochs) == planned
    assert dataclasses.replace(found, epochs=config.epochs, calibration_epochs=config.calibration_epochs) == config


@pytest.mark.parametrize(("ends", "seconds"), [((30.0, 32.0, 34.0), 6.0), ((30.0, 33.0), 6.0), ((30.0,), 30.0)])
def test_building_the_graph_is_no_part_of_a_validation(clock, ends, seconds):
    watch = ValidationClock()
    for batch, clock.now in enumerate(ends):
        watch.on_test_batch_end(batch)
    watch.on_test_end()
    assert watch.seconds == seconds


@pytest.mark.slow
def test_a_run_ends_in_time_calibrated_and_is_then_complete(clock, mixed_data, tmp_path, capsys):
    """Every look at the clock takes a second; without a limit there would be 100 batches a epoch or more."""
    config = dataclasses.replace(
        KINEMATIC,
        windows=dataclasses.replace(WINDOWS, rotations=100),
        minutes=1.2,
        batch_size=8,
        run_directory=str(tmp_path / "run"),
    )
    clock.tick = 1.0
    model, run = loop.fit(config, mixed_data)
    left = 72.0 - time_limit._START - time_limit._EXPORT
    assert clock.now <= left and len(run.epochs) == run.config.epochs < 50
    calibrations = [epoch["calibration"] for epoch in run.epochs]
    assert calibrations == sorted(calibrations) and 1 <= sum(calibrations) < len(calibrations)
    assert len(run.epochs) <= int(keras.ops.convert_to_numpy(model.optimizer.iterations)) < left
    assert f"1.2 minutes are enough for {len(run.epochs)} of 50 epochs" in capsys.readouterr().out
    assert not Run(config).is_finished  # as if it was killed before the export
    run.finish(tmp_path / "model", "validation")
    assert Run(config).is_finished and not Run(dataclasses.replace(config, minutes=None)).is_finished
