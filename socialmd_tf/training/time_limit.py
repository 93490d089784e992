"""Training in a given time: fewer and shorter epochs, such that export and evaluation follow in time."""

import dataclasses
import time

import keras

_START, _EXPORT = 15.0, 30.0
"""Seconds for the start of Python and TensorFlow before the clock runs, and for an export."""
_EVALUATION = 5
"""Time of an evaluation with all baselines, in that of a validation."""
_EPOCH = 4
"""Shortest epoch, in times of its validation: no more than a fourth of the time goes to validation."""


class TimeLimit:
    """The end of the time for a training.

    Args:
        minutes: The time, from now on.
    """

    def __init__(self, minutes):
        self._end = time.monotonic() + 60 * minutes - _START - _EXPORT

    def seconds_left(self, validation_seconds):
        """Seconds for epochs; the rest is for export and evaluation."""
        return self._end - time.monotonic() - _EVALUATION * validation_seconds

    def planned(self, config, epochs, validation_seconds):
        """The configuration with as many epochs as there is time for.

        Args:
            config: The `TrainConfig`.
            epochs: Losses and metrics of every finished epoch.
            validation_seconds: Time of a validation.

        Returns:
            A `TrainConfig` with no more epochs. In proportion, there are calibration epochs among them, at least one
            if there were any.
        """
        done, validation_seconds = len(epochs), max(validation_seconds, 1e-3)
        wanted = config.epochs - done
        count = min(wanted, int(max(0.0, self.seconds_left(validation_seconds)) / (_EPOCH * validation_seconds)))
        if (config.is_fitted and done) or any(epoch.get("calibration") for epoch in epochs):
            calibrating = min(count, config.calibration_epochs)
        else:
            fewest = 2 if config.calibration_epochs else 1
            count = max(count, min(wanted, fewest))
            calibrating = -(-count * config.calibration_epochs // max(wanted, 1))
            calibrating = min(calibrating, max(count - 1, 0))
        finished = sum(bool(epoch.get("calibration")) for epoch in epochs)
        return dataclasses.replace(config, epochs=done + count, calibration_epochs=finished + calibrating)


class ValidationClock(keras.callbacks.Callback):
    """The time of a validation, without that of building its graph, which the first batch waits for."""

    def __init__(self):
        super().__init__()
        self._start, self._first, self._end, self._count = time.monotonic(), 0.0, 0.0, 0

    def on_test_batch_end(self, batch, logs=None):
        """Count the batch; the first one has waited for the graph."""
        self._count += 1
        if self._count == 1:
            self._first = time.monotonic()

    def on_test_end(self, logs=None):
        """Note the time."""
        self._end = time.monotonic()

    @property
    def seconds(self):
        """Of all batches; of a single one, with the graph."""
        if self._count < 2:
            return self._end - self._start
        return (self._end - self._first) * self._count / (self._count - 1)


class EndEpochsInTime(keras.callbacks.Callback):
    """End each epoch when its share of the time is over.

    Args:
        limit: The `TimeLimit`.
        epochs: Range of all epochs that share the time.
        validation_seconds: Time of a validation.
    """

    def __init__(self, limit, epochs, validation_seconds):
        super().__init__()
        self._limit, self._epochs, self._validation_seconds = limit, epochs, validation_seconds

    def on_epoch_begin(self, epoch, logs=None):
        """Divide the time that is left among the epochs that are left."""
        share = self._limit.seconds_left(self._validation_seconds) / (self._epochs.stop - epoch)
        self._epoch_end = time.monotonic() + share - self._validation_seconds

    def on_train_batch_end(self, batch, logs=None):
        """End the epoch; after its validation, `Checkpoint` decides whether training goes on."""
        if time.monotonic() >= self._epoch_end:
            self.model.stop_training = True
