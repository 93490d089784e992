import dataclasses
import json

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.config.model import DataConfig
from socialmd_tf.training import run as runs
from socialmd_tf.training.run import Checkpoint, RunState, TrainingDiverged, checkpoint_directory, load_state, open_run

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def config(run, **changes):
    return TrainConfig(**{"data": "data", "run_directory": str(run), "epochs": 10, "patience": 2, **changes})


def state(*val_losses):
    return RunState([{"epoch": i + 1, "val_loss": loss} for i, loss in enumerate(val_losses)])


def linear_model(learning_rate=0.1):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Nadam(learning_rate), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, run, run_config, run_state, validation=None):
    inputs = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    targets = inputs.sum(axis=1, keepdims=True)
    validation = (inputs, targets) if validation is None else validation
    model.fit(
        inputs,
        targets,
        validation_data=validation,
        batch_size=4,
        shuffle=False,
        verbose=0,
        initial_epoch=len(run_state.epochs),
        epochs=run_config.epochs,
        callbacks=[Checkpoint(run, run_config, run_state)],
    )


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
    assert state(*losses).is_finished(config("run")) is finished


def test_the_best_epoch_can_be_that_of_the_least_error():
    epochs = [{"val_loss": loss, "val_mae": error} for loss, error in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0))]
    assert [RunState(epochs, monitor).best_epoch for monitor in ("loss", "mae")] == [0, 1]
    assert not RunState(epochs, "mae").is_finished(config("run"))
    assert RunState(epochs, "loss").is_finished(config("run"))


def test_patience_does_not_count_the_curriculum_and_waits_for_calibration():
    run = state(3.0, 4.0, 5.0)
    assert not run.is_finished(config("run", curriculum=(1, 1)))
    assert run.is_finished(config("run", curriculum=(1,)))
    calibrating = config("run", calibration_epochs=1, model=ModelConfig(head="kinematic"))
    assert not run.is_finished(calibrating)
    assert run.is_finished(dataclasses.replace(calibrating, epochs=3))


def test_early_stopping_counts_on_after_a_restart_and_the_best_weights_come_back(tmp_path):
    """The validation targets are the negative ones, so that learning makes the validation loss rise."""
    run_config = config(tmp_path, patience=3)
    inputs = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    opposite = (inputs, -inputs.sum(axis=1, keepdims=True))
    first = state()
    fit(linear_model(), tmp_path, config(tmp_path, patience=3, epochs=2), first, opposite)
    assert len(first.epochs) == 2

    model, resumed = linear_model(), load_state(tmp_path)
    assert resumed.epochs == first.epochs
    runs.load_weights(model, tmp_path, 1)
    fit(model, tmp_path, run_config, resumed, opposite)
    best = resumed.best_epoch
    assert len(resumed.epochs) == best + 1 + 3 < 10
    runs.load_weights(model, tmp_path, best)
    assert model.evaluate(*opposite, verbose=0) == pytest.approx(min(e["val_loss"] for e in resumed.epochs))


def test_what_is_kept_is_the_last_and_the_best(tmp_path):
    run_state = state()
    fit(linear_model(), tmp_path, config(tmp_path, epochs=3), run_state)
    assert run_state.best_epoch == 2
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["0003"]
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert header == "epoch,loss,val_loss"
    assert [[float(value) for value in row.split(",")] for row in rows] == [
        [entry["epoch"], entry["loss"], entry["val_loss"]] for entry in run_state.epochs
    ]


def test_weights_of_another_model_are_refused_in_one_line(tmp_path):
    fit(linear_model(), tmp_path, config(tmp_path, epochs=1), state())
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    with pytest.raises(UserError, match="must hold the weights of this model") as refused:
        runs.load_weights(other, tmp_path, 0)
    assert "\n" not in str(refused.value)


def test_going_on_is_as_if_never_stopped(tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    unbroken = linear_model()
    fit(unbroken, whole, config(whole, epochs=4), state())
    fit(linear_model(), halves, config(halves, epochs=2), state())
    (halves / "checkpoints" / ".0003.partial").mkdir()  # a kill while the third was written
    (halves / "checkpoints" / ".0003.partial" / "model.weights.h5").write_text("half")
    resumed, run_state = linear_model(), load_state(halves)
    runs.load_weights(resumed, halves, len(run_state.epochs) - 1)
    fit(resumed, halves, config(halves, epochs=4), run_state)
    assert (halves / "history.csv").read_text() == (whole / "history.csv").read_text()
    for weight, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert [entry.name for entry in (halves / "checkpoints").iterdir()] == ["0004"]


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_weights(tmp_path):
    model, run_state = linear_model(), state()
    fit(model, tmp_path, config(tmp_path, epochs=1), run_state)
    good = model.get_weights()
    model.optimizer.learning_rate = 1e30
    kept = checkpoint_directory(tmp_path, 0)
    with pytest.raises(TrainingDiverged) as raised:
        fit(model, tmp_path, config(tmp_path), run_state)
    assert "became" in str(raised.value) and "in epoch 2, batch " in str(raised.value)
    assert f"the best weights are in {kept}. Try a lower --learning-rate" in str(raised.value)
    runs.load_weights(model, tmp_path, 0)
    for weight, expected in zip(model.get_weights(), good, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_validation_loss_that_is_not_a_number_stops_too(tmp_path):
    broken = (np.full((4, 2), np.inf, np.float32), np.zeros((4, 1), np.float32))
    with pytest.raises(TrainingDiverged, match=r"validation loss became (inf|nan) in epoch 1; no epoch was finished"):
        fit(linear_model(), tmp_path, config(tmp_path), state(), broken)
    assert load_state(tmp_path).epochs == []


def test_a_run_opens_again_and_only_some_settings_may_change(tmp_path):
    run = tmp_path / "run"
    assert open_run(config(run)) == run
    assert json.loads((run / "config.json").read_text())["epochs"] == 10
    open_run(config(run, epochs=20, export_directory="elsewhere", config="settings.json"))
    assert json.loads((run / "config.json").read_text())["epochs"] == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.5}, "`learning_rate` is 0.001 there and 0.5 here"),
        ({"seed": 7}, "`seed` is 0 there and 7 here"),
        ({"windows": DataConfig(rotations=3)}, "`windows.rotations` is 10 there and 3 here"),
        (
            {"model": ModelConfig(side_lengths=(4.0,))},
            r"`model.side_lengths` is [11.0, 5.5, 2.75, 1.375] there and [4.0] here",
        ),
        ({"patience": 9}, "`patience` is 2 there and 9 here"),
    ],
)
def test_a_run_of_another_configuration_is_refused(tmp_path, changes, message):
    open_run(config(tmp_path))
    with pytest.raises(UserError) as raised:
        open_run(config(tmp_path, **changes))
    assert str(raised.value) == (
        f"{tmp_path} holds a run of another configuration: {message}. Give another --run-directory"
    )


def test_a_directory_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="`run_directory` must be empty or hold a run"):
        open_run(config(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="`run_directory` must be a directory"):
        open_run(config(tmp_path / "thesis.tex"))


def test_a_half_written_json_file_never_takes_the_place_of_a_whole_one(tmp_path):
    path = tmp_path / "values.json"
    runs.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        runs.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
