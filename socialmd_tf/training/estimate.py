"""How long a training will take on this machine: some of its steps are done, and timed."""

import dataclasses
import time

import keras
import tensorflow as tf

from pipelines.counts import count, counted
from pipelines.dataset import num_windows, open_split
from pipelines.manifest import Manifest
from socialmd_tf.fitting.dataset import read_split
from socialmd_tf.fitting.duration import fit_duration
from socialmd_tf.training.initial_spread import num_rollouts
from socialmd_tf.training.law import model_law
from socialmd_tf.training.loop import new_model, prepared, training_batches, visible_devices
from socialmd_tf.training.motion_scales import motion_scales
from socialmd_tf.training.phases import phases
from socialmd_tf.training.progress import TIMED_BATCHES, VALIDATION_SHARE, about, epochs_left, num_batches

_SECONDS = 10.0
_MOST_PARTICLES, _MOST_PAIRS = 20_000, 1_000_000
"""Sizes up to which whole batches are timed."""
_FIT_SIMULATIONS, _FIT_PARTICLES = 8, 1000
_EPOCH = 1.0
"""Seconds for the start of an epoch, its checkpoint and its logs."""
_SPLITS = ("train", "validation")
_AFTERWARDS = "then export and evaluation"


def time_of_training(config, directory):
    """Say how long a training takes, without its export and evaluation.

    Some batches are trained on, after the first, for which the graph is built. Of large systems, smaller ones are
    timed, and the time is in proportion. Of a fit, the parts are timed on some of the data. Memory does not grow with
    the number of files and frames.

    Args:
        config: The `TrainConfig` of a training with new weights.
        directory: The dataset, without faults.

    Returns:
        A text.

    Raises:
        UserError: The data do not suit the model, as for `loop.fit`.
    """
    scales, largest = motion_scales(directory, config), max(shape[2] for shape in _shapes(config, directory))
    if not config.is_fitted:
        seconds, num_timed = _epochs(config, directory, scales, largest)
        return f"{about(seconds, config)}, by the speed of {counted(num_timed, 'batch', 'batches')}; {_AFTERWARDS}"
    if largest > _FIT_PARTICLES:
        is_periodic = Manifest.load(directory).is_periodic
        time_needed = "some ten minutes" if is_periodic else "hours, as its time grows with the number of pairs"
        return (
            f"not estimated for {count(largest)} particles: the fit takes {time_needed}; --force-cutoff LENGTH "
            "shortens it"
        )
    fit = _fit(config, directory)
    seconds, _ = _epochs(config, directory, scales, largest, model_law(fit.fitted))
    least, most = (max(1, round((each + seconds) / 60)) for each in (fit.least, fit.most))
    text = f"{count(least)} to {count(most)} minutes" if least < most else about(fit.most + seconds, config)
    return (
        f"{text}, by the speed of some batches and of the parts of the fit, whose number depends on the data; "
        f"{_AFTERWARDS}"
    )


def _shapes(config, directory):
    """Shapes `[W, T, N, D]` of the subsampled trajectories of the training and the validation split."""
    manifest = Manifest.load(directory)
    for split in _SPLITS:
        files = open_split(manifest, directory, split, config.windows)
        num_frames = min(len(range(0, len(file), config.windows.subsample)) for file in files)
        yield len(files), num_frames, max(file.shape[1] for file in files), manifest.num_dimensions


def _fit(config, directory):
    """The `FitDuration`, from the first simulations, of which four windows are read."""
    windows = config.windows
    num_frames = windows.window_steps + 3 * windows.warm_up_steps
    some = [read_split(directory, split, windows, _FIT_SIMULATIONS, num_frames) for split in _SPLITS]
    steps = {"warm_up_steps": windows.warm_up_steps, "rollout_steps": windows.rollout_steps}
    return fit_duration(*some, list(_shapes(config, directory)), **steps)


def _epochs(config, directory, scales, num_particles, law=None):
    """Seconds of all epochs with what goes before them, and how many batches were timed."""
    size = max(1, min(config.batch_size, _MOST_PARTICLES // num_particles, _MOST_PAIRS // num_particles**2))
    timed = dataclasses.replace(config, batch_size=size)
    strategy = tf.distribute.MirroredStrategy(visible_devices())
    model = new_model(timed, Manifest.load(directory), scales, strategy, directory=directory, law=law)
    phase = next(phases(config, 1 if config.is_fitted else 0))
    clock = _Clock()
    with prepared(model, phase):
        model.fit(
            training_batches(model, timed, directory, phase).repeat(),
            steps_per_epoch=1 + TIMED_BATCHES,
            shuffle=False,  # as in the training
            callbacks=[clock],
            verbose=0,
        )
    training, validation = (num_batches(config, num_windows(directory, split, config.windows)) for split in _SPLITS)
    epochs = training * epochs_left(config, phase.epochs.start, validation / training)
    if config.is_fitted:  # before the epochs, rollouts that set the spread, and a validation
        rollouts = num_rollouts(num_particles, config.model.measurement_noise)
        epochs += VALIDATION_SHARE * (validation + rollouts / config.batch_size)
    beside = clock.first + _EPOCH * (config.epochs - phase.epochs.start)
    return beside + epochs * clock.seconds * config.batch_size / size, clock.num_timed


class _Clock(keras.callbacks.Callback):
    """Time of the first step, and mean time of the following ones, of which there are fewer if they take long."""

    def __init__(self):
        super().__init__()
        self.num_timed, self._start = 0, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Read the clock."""
        now = time.monotonic()
        if batch == 0:
            self.first, self._start = now - self._start, now
            return
        self.num_timed, self.seconds = batch, (now - self._start) / batch
        self.model.stop_training = now - self._start > _SECONDS
