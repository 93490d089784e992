"""Callbacks after every batch and epoch of training: schedule, seeds, counts, checkpoints."""

import math
import sys

import keras
import numpy as np

from socialmd_tf.model import rollout_layer

_MANY_SKIPPED = 0.05


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number, or no gradient is."""


class LearningRate(keras.callbacks.Callback):
    """Set the learning rate before every batch and log it after every epoch.

    Args:
        config: The `TrainConfig`.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Note the number of the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Set the learning rate."""
        elapsed = self.epoch + batch / self.params["steps"]
        self.model.optimizer.learning_rate = learning_rate(self.config, elapsed)

    def on_epoch_end(self, epoch, logs=None):
        """Log the learning rate of the last batch."""
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def learning_rate(config, epoch):
    """The learning rate at a time.

    With `decay="cosine"` it is (1 + cos(pi k / n)) / 2 times the initial one, k epochs after the first of n: the
    calibration epochs, or those before them.

    Args:
        config: The `TrainConfig`.
        epoch: Time in epochs, from 0; may be fractional.
    """
    if config.decay == "none":
        return config.learning_rate
    main = config.epochs - config.calibration_epochs
    done, total = (epoch, main) if epoch < main else (epoch - main, config.calibration_epochs)
    return config.learning_rate * (1 + math.cos(math.pi * done / total)) / 2


class SkippedGradients(keras.callbacks.Callback):
    """Log how many gradients the optimizer skipped in an epoch, since they were not finite."""

    def on_epoch_begin(self, epoch, logs=None):
        """Count from zero."""
        self.model.optimizer.skipped_gradients.assign(0)

    def on_epoch_end(self, epoch, logs=None):
        """Log the count."""
        logs["skipped_gradients"] = int(keras.ops.convert_to_numpy(self.model.optimizer.skipped_gradients))


class SeedDropout(keras.callbacks.Callback):
    """Make the dropout of an epoch a function of (seed, epoch), so that a resumed run repeats it.

    Keras does not save the state of its random generators with the weights.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        """Seed the dropout of the cell, if it has any."""
        dropout = getattr(rollout_layer(self.model).cell, "dropout", None)
        if dropout is not None and dropout.rate > 0:
            dropout.seed_generator.state.assign([self.seed, epoch * 2**16])


class Checkpoint(keras.callbacks.Callback):
    """Save every epoch of a run, stop early, and stop when training diverges.

    Calibration begins with the best weights of the epochs before it.

    Args:
        run: The `Run`.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_train_begin(self, logs=None):
        """Load the best weights if calibration begins."""
        done, config = len(self.run.epochs), self.run.config
        if done > 0 and config.calibration_epochs and done == _first_calibration_epoch(config):
            self.run.load_weights(self.model)

    def on_train_batch_end(self, batch, logs=None):
        """Stop at the first loss that is not finite."""
        if not np.isfinite(logs["loss"]):
            if batch == 0 and not self.run.epochs:  # no step was taken that a lower learning rate could shorten
                raise TrainingDiverged(
                    f"the loss of the first batch is {logs['loss']}: numbers of the data, or of the model's settings, "
                    "are too large or too small for float32. Convert lengths and features to units in which they are "
                    "about 1 to 100"
                )
            raise self._diverged(f"the loss became {logs['loss']}", f", batch {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        """Save the epoch."""
        if not np.isfinite(logs["val_loss"]):
            raise self._diverged(f"the validation loss became {logs['val_loss']}")
        self._check_gradients(logs["skipped_gradients"])
        calibration = epoch >= _first_calibration_epoch(self.run.config)
        self.run.save_epoch(self.model, {"calibration": calibration, **logs})
        self.model.stop_training = self.run.is_finished

    def _check_gradients(self, skipped):
        total = self.params["steps"] * self.model.distribute_strategy.num_replicas_in_sync
        if skipped == total:
            raise self._diverged("no gradient was finite")
        if skipped > _MANY_SKIPPED * total:
            print(
                f"warning: {skipped} of {total} gradients ({skipped / total:.0%}) of epoch {len(self.run.epochs) + 1} "
                "were not finite and were skipped. Try shorter rollouts (--curriculum) or a lower --learning-rate",
                file=sys.stderr,
                flush=True,
            )

    def _diverged(self, what, where=""):
        best = self.run.state.best_epoch
        kept = "no epoch was finished"
        if best is not None:
            kept = f"the best weights are in {self.run.checkpoint(best)}"
        return TrainingDiverged(
            f"{what} in epoch {len(self.run.epochs) + 1}{where}; {kept}. Try a lower --learning-rate"
        )


def _first_calibration_epoch(config):
    return config.epochs - config.calibration_epochs
