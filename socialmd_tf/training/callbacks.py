"""Progress of training where there is no terminal for a progress bar."""

import time

import keras

_SECONDS = 10.0


class PlainProgress(keras.callbacks.Callback):
    """A plain line every ten seconds and after every epoch.

    Args:
        num_epochs: Number of epochs of the whole training, which Keras is told of in stages.
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
        """Print the epoch's losses."""
        self._print("done", logs)

    def _print(self, where, logs):
        losses = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        seconds = time.monotonic() - self.started
        print(f"epoch {self.epoch + 1} of {self.num_epochs}, {where}, {seconds:.0f} s: {losses}", flush=True)
