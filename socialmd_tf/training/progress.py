"""What a training prints: a header before it, then its progress, as a bar on a terminal and plain lines elsewhere."""

import sys
import time

import keras

from pipelines import dataset
from pipelines.counts import count, counted
from pipelines.description_page import entry
from pipelines.manifest import Manifest
from socialmd_tf.training.phases import phases

_SECONDS = 10.0
TIMED_BATCHES = 5
VALIDATION_SHARE = 1 / 3
"""Time of a batch without gradients, in that of a batch with gradients."""
_NOT_SHOWN = ("learning_rate",)


def header(config, directory):
    """Lines about a training before it begins: windows, particles, steps and phases.

    Args:
        config: The `TrainConfig`.
        directory: The dataset.
    """
    windows, manifest = config.windows, Manifest.load(directory)
    sizes = [file.shape[1] for file in dataset.open_split(manifest, directory, "train", windows)]
    counts = {split: dataset.num_windows(directory, split, windows) for split in ("train", "validation")}
    copies = f", {windows.rotations} rotated copies of each per epoch" if windows.rotations else ""
    particles = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else counted(max(sizes), "particle")
    first = "fitting forces" if config.initial_weights is None and config.initial_model is None else "forces as given"
    fit = [f"{first} (epoch 1)"] if config.is_fitted else []
    return [
        "Training",
        entry(
            "windows",
            f"{count(counts['train'])} to train on, {count(counts['validation'])} for validation{copies}; "
            f"{windows.warm_up_steps} observed and {windows.rollout_steps} predicted frames, "
            f"{counted(windows.subsample, 'stored frame')} per step",
        ),
        entry("particles", f"{particles} per window, in {manifest.num_dimensions} dimensions"),
        entry(
            "steps",
            f"up to {counted(config.epochs, 'epoch')} of "
            f"{counted(num_batches(config, counts['train']), 'batch', 'batches')} of "
            f"{counted(config.batch_size, 'window')}",
        ),
        entry("phases", ", ".join([*fit, *map(str, phases(config, len(fit)))])),
        *_time(config),
    ]


def _time(config):
    """What is said of a limit of the time."""
    if config.minutes is None:
        return []
    fit = "; the fit of forces is not shortened, and may take longer" if config.is_fitted else ""
    return [entry("time", f"{config.minutes:g} minutes{fit}")]


def num_batches(config, num_windows):
    """Number of batches of an epoch over some windows."""
    return -(-num_windows * max(1, config.windows.rotations) // config.batch_size)


class TimeEstimate(keras.callbacks.Callback):
    """Say how long the epochs will take, as soon as some batches were timed.

    The first batch, for which the graph is built, does not count. Epochs of a phase with other numbers of frames take
    time in proportion to them.

    Args:
        config: The `TrainConfig`.
        validation_batches: Batches of the validation split for each of the training split.
    """

    def __init__(self, config, validation_batches):
        super().__init__()
        self._config = config
        self._validation_batches = validation_batches
        self._is_done = False

    def on_epoch_begin(self, epoch, logs=None):
        """Note the number of the epoch."""
        self._epoch, self._start = epoch, None

    def on_train_batch_end(self, batch, logs=None):
        """Time the batches after the first one."""
        if self._is_done:
            return
        if self._start is None:
            self._start, self._first = time.monotonic(), batch
        elif batch - self._first == min(TIMED_BATCHES, self.params["steps"] - 1):
            self._is_done = True
            seconds = (time.monotonic() - self._start) / (batch - self._first) * self.params["steps"]
            seconds *= epochs_left(self._config, self._epoch, self._validation_batches)
            print(
                f"time: {about(seconds, self._config)} until epoch {self._config.epochs}, by the speed of "
                f"{counted(batch - self._first, 'batch', 'batches')}; then export and evaluation",
                flush=True,
            )


def epochs_left(config, epoch, validation_batches):
    """Time of all epochs from one on, in that of the training batches of this one.

    Args:
        config: The `TrainConfig`.
        epoch: Number of the epoch, from 0.
        validation_batches: As for `TimeEstimate`.
    """
    windows = config.windows
    frames = {
        each: windows.warm_up_steps + (phase.num_steps or windows.rollout_steps)
        for phase in phases(config, epoch)
        for each in phase.epochs
    }
    validation = windows.window_steps * validation_batches * VALIDATION_SHARE
    return sum(each + validation for each in frames.values()) / frames[epoch]


def about(seconds, config):
    """The time of a training in words; without calibration epochs, training may stop early."""
    minutes = seconds / 60
    text = f"about {minutes:.0f} minutes" if minutes >= 1.5 else "about a minute"
    text = text if minutes >= 0.5 else "less than a minute"
    return text + ("" if config.calibration_epochs else " at most")


class PhaseNames(keras.callbacks.Callback):
    """Print what the epochs of a phase learn, before the first of them.

    Args:
        config: The `TrainConfig`.
        first_epoch: Number of the first epoch that is trained, from 0.
    """

    def __init__(self, config, first_epoch):
        super().__init__()
        self._names = {phase.epochs.start: str(phase) for phase in phases(config, first_epoch)}

    def on_epoch_begin(self, epoch, logs=None):
        """Print the name of a phase that begins."""
        if epoch in self._names:
            print(f"{self._names[epoch]}; first, the graph of the training step is built", flush=True)


class PlainProgress(keras.callbacks.Callback):
    """Print a line every ten seconds and after every epoch, where there is no terminal for a progress bar.

    Args:
        num_epochs: Number of epochs of the whole training; Keras knows only those of a phase.
    """

    def __init__(self, num_epochs):
        super().__init__()
        self.num_epochs = num_epochs

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.epoch = epoch
        self.started = self.last = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Print a line if the last one is old."""
        if time.monotonic() - self.last >= _SECONDS:
            self.last = time.monotonic()
            self._print(f"batch {batch + 1} of {self.params['steps']}", logs)

    def on_epoch_end(self, epoch, logs=None):
        """Print the losses of the epoch."""
        self._print("done", logs)

    def _print(self, where, logs):
        losses = ", ".join(f"{name} {value:.5g}" for name, value in _shown(logs).items())
        seconds = time.monotonic() - self.started
        print(f"epoch {self.epoch + 1} of {self.num_epochs}, {where}, {seconds:.0f} s: {losses}", flush=True)


class BarProgress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, with the number of epochs of the whole training, and without numbers for experts.

    Args:
        num_epochs: As for `PlainProgress`.
    """

    def __init__(self, num_epochs):
        super().__init__()
        self.num_epochs = num_epochs

    def set_params(self, params):
        """Take the parameters of a phase."""
        super().set_params({**params, "verbose": 1, "epochs": self.num_epochs})

    def on_epoch_end(self, epoch, logs=None):
        """Finish the bar of the epoch."""
        super().on_epoch_end(epoch, _shown(logs))


def _shown(logs):
    """Losses and metrics, and the number of skipped gradients if there are any."""
    return {
        name: value for name, value in logs.items() if name not in _NOT_SHOWN and (value or name != "skipped_gradients")
    }


def progress(num_epochs):
    """The callback that shows the progress of a training here: on a terminal, a bar."""
    return BarProgress(num_epochs) if sys.stdout.isatty() else PlainProgress(num_epochs)
