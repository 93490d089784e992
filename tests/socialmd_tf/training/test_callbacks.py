import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.manifest import Manifest
from socialmd_tf.config import ModelConfig, TrainConfig
from socialmd_tf.model import build_model
from socialmd_tf.training import callbacks, loop
from socialmd_tf.training.callbacks import (
    Checkpoint,
    SeedDropout,
    SkippedGradients,
    TrainingDiverged,
)
from socialmd_tf.training.run import Run
from tests.socialmd_tf.training.small import ALONE, WINDOWS, linear_model

# HDF5 files are written by Keras through an old NumPy interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def new_run(tmp_path, mixed_data):
    """Begin or resume a run of ten epochs."""

    def new_run(name="run", **changes):
        settings = {"run_directory": str(tmp_path / name), "epochs": 10, "patience": 3, "windows": WINDOWS, **changes}
        run = Run(TrainConfig(**settings))
        run.begin(mixed_data, Manifest.load(mixed_data), lambda: (1.0, 1.0))
        return run

    return new_run


def fit(model, run, validation=None, spoil=()):
    """Fit a sum; the gradients of the batches in `spoil` overflow, their losses do not."""
    inputs = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    targets = inputs.sum(axis=1, keepdims=True)
    validation = validation or (inputs.copy(), targets)
    for batch in spoil:
        inputs[4 * batch] *= 1e12
    model.fit(
        inputs,
        targets,
        validation_data=validation,
        batch_size=4,
        shuffle=False,
        verbose=0,
        initial_epoch=len(run.epochs),
        epochs=run.config.epochs,
        callbacks=[SkippedGradients(), Checkpoint(run)],
    )


def opposite():
    """Validation targets whose loss rises while the sum is learned."""
    inputs = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
    return inputs, -inputs.sum(axis=1, keepdims=True)


def test_early_stopping_continues_after_a_restart_and_the_best_weights_return(new_run):
    first = new_run(epochs=2)
    fit(linear_model(), first, opposite())
    assert len(first.epochs) == 2

    model, resumed = linear_model(), new_run()
    assert resumed.epochs == first.epochs
    resumed.load_weights(model, 1)
    fit(model, resumed, opposite())
    best = resumed.state.best_epoch
    assert len(resumed.epochs) == best + 1 + 3 < 10
    resumed.load_weights(model)
    assert model.evaluate(*opposite(), verbose=0) == pytest.approx(min(e["val_loss"] for e in resumed.epochs))


def test_a_resumed_run_equals_an_unbroken_one(new_run):
    unbroken, whole = linear_model(), new_run("whole", epochs=4)
    fit(unbroken, whole)
    fit(linear_model(), new_run("halves", epochs=2))
    halves = new_run("halves", epochs=4)
    partial = halves.directory / "checkpoints" / ".0003.partial"  # killed while the third epoch was saved
    partial.mkdir()
    (partial / "model.weights.h5").write_text("half")
    resumed = linear_model()
    halves.load_weights(resumed, len(halves.epochs) - 1)
    fit(resumed, halves)
    assert (halves.directory / "history.csv").read_text() == (whole.directory / "history.csv").read_text()
    for weight, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert [entry.name for entry in (halves.directory / "checkpoints").iterdir()] == ["0004"]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(new_run):
    model, run = linear_model(), new_run(epochs=1)
    fit(model, run)
    good = model.get_weights()
    model.optimizer.learning_rate = 1e30
    run = new_run()
    with pytest.raises(TrainingDiverged) as raised:
        fit(model, run)
    message = str(raised.value)
    assert "the loss became" in message and "epoch 2, batch" in message and str(run.checkpoint(0)) in message
    run.load_weights(model)
    for weight, expected in zip(model.get_weights(), good, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_first_loss_that_is_not_finite_is_no_matter_of_the_learning_rate(new_run):
    checkpoint = Checkpoint(new_run())
    with pytest.raises(TrainingDiverged, match=r"the loss of the first batch is nan: .* Convert lengths") as raised:
        checkpoint.on_train_batch_end(0, {"loss": np.nan})
    assert "learning-rate" not in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(TrainingDiverged, match=r"in epoch 1, batch 2; .* Try a lower --learning-rate"):
        checkpoint.on_train_batch_end(1, {"loss": np.nan})


@pytest.mark.slow
def test_a_validation_loss_that_is_not_finite_stops_too(new_run):
    broken = (np.full((4, 2), np.inf, np.float32), np.zeros((4, 1), np.float32))
    with pytest.raises(TrainingDiverged, match=r"validation loss became (inf|nan) in epoch 1; no epoch was finished"):
        fit(linear_model(), new_run(), broken)
    assert new_run().epochs == []


@pytest.mark.slow
def test_skipped_gradients_are_in_the_history_and_many_are_warned_of(new_run, capsys):
    run = new_run(epochs=2)
    fit(linear_model(), run, spoil=[1, 2])
    assert [epoch["skipped_gradients"] for epoch in run.epochs] == [2, 2]
    assert "skipped_gradients" in (run.directory / "history.csv").read_text().splitlines()[0]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("warning: 2 of 4 gradients (50%)") for line in lines)


def test_no_warning_where_nothing_is_skipped(new_run, capsys):
    run = new_run(epochs=1)
    fit(linear_model(), run)
    assert [epoch["skipped_gradients"] for epoch in run.epochs] == [0]
    assert capsys.readouterr().err == ""


def test_an_epoch_without_a_single_finite_gradient_is_no_success(new_run):
    run = new_run()
    with pytest.raises(TrainingDiverged, match="no gradient was finite in epoch 1; no epoch was finished"):
        fit(linear_model(), run, spoil=range(4))
    assert new_run().epochs == []


def test_calibration_begins_with_the_best_weights(new_run):
    model = linear_model()
    run = new_run(epochs=3, calibration_epochs=1, model=ModelConfig(head="kinematic"))
    for weight, loss in ((1.0, 2.0), (2.0, 5.0)):
        model.layers[0].kernel.assign(np.full((2, 1), weight))
        run.save_epoch(model, {"calibration": 0, "val_loss": loss})
    checkpoint = Checkpoint(run)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    np.testing.assert_array_equal(model.layers[0].kernel, np.full((2, 1), 1.0))


def test_dropout_depends_on_seed_and_epoch_alone():
    """Not on how much was dropped before: a run that resumes at an epoch repeats it."""
    plain = build_model(dataclasses.replace(ALONE, output_layers=(16,), dropout=0.5))
    inputs = {
        "positions": tf.random.stateless_normal((1, 2, 3, 2), (0, 0)),
        "features": tf.ones((1, 3, 1)),
        "mask": tf.ones((1, 3)),
    }

    def predicted(seed, epoch):
        callback = SeedDropout(seed)
        callback.set_model(plain)
        callback.on_epoch_begin(epoch)
        return plain(inputs, training=True).numpy()

    first = predicted(0, 1)
    others = [predicted(*chosen) for chosen in ((0, 2), (1, 1))]
    assert all((first != other).any() for other in others)
    np.testing.assert_array_equal(predicted(0, 1), first)


@pytest.mark.slow
def test_the_learning_rate_falls_from_batch_to_batch(mixed_data):
    config = TrainConfig(
        windows=WINDOWS, model=ALONE, learning_rate=0.02, decay="cosine", epochs=2, batch_size=8, run_directory="run"
    )
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate.numpy()))

    model = loop.new_model(config, Manifest.load(mixed_data), (1.0, 1.0), tf.distribute.get_strategy())
    history = loop.run_epochs(model, config, mixed_data, 0, [Watch()])
    expected = [0.01 * (1 + math.cos(math.pi * batch / 4)) for batch in range(4)]
    assert rates == pytest.approx(expected)
    assert history.history["learning_rate"] == pytest.approx(expected[1::2])
    assert history.history["skipped_gradients"] == [0, 0]


def test_the_learning_rate_stays_or_falls_as_half_a_cosine():
    constant, falling = (TrainConfig(learning_rate=0.2, decay=decay, epochs=4) for decay in ("none", "cosine"))
    assert [callbacks.learning_rate(constant, epoch) for epoch in range(4)] == [0.2] * 4
    expected = [0.2, 0.1 + 0.1 / math.sqrt(2), 0.1, 0.1 - 0.1 / math.sqrt(2)]
    assert [callbacks.learning_rate(falling, epoch) for epoch in range(4)] == pytest.approx(expected)
    model = ModelConfig(head="kinematic")
    anew = TrainConfig(learning_rate=0.2, decay="cosine", epochs=5, calibration_epochs=2, model=model)
    assert [callbacks.learning_rate(anew, epoch) for epoch in range(5)] == pytest.approx([0.2, 0.15, 0.05, 0.2, 0.1])
