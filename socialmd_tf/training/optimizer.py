"""What sets the pace of training: the optimizer, its learning rate, and the seeds of an epoch."""

import math

import keras

from socialmd_tf.model import rollout_layer


@keras.saving.register_keras_serializable(package="socialmd_tf")
class SteadyNadam(keras.optimizers.Nadam):
    """Nadam that takes a gradient whose squares no float can add up, as chaotic motion has now and then, for zero."""

    def apply(self, grads, trainable_variables=None):
        """Make a step."""
        ops = keras.ops
        is_finite = ops.isfinite(sum(ops.sum(ops.square(gradient)) for gradient in grads))
        return super().apply([ops.where(is_finite, gradient, 0) for gradient in grads], trainable_variables)


class LearningRate(keras.callbacks.Callback):
    """Before every batch set the learning rate, and log it after every epoch.

    Args:
        config: The `TrainConfig`.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Note which epoch it is."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Set the learning rate."""
        time = self.epoch + batch / self.params["steps"]
        self.model.optimizer.learning_rate = learning_rate(self.config, time)

    def on_epoch_end(self, epoch, logs=None):
        """Log the learning rate of the last batch."""
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def learning_rate(config, epoch):
    """The learning rate at a time, in epochs (from 0).

    With `decay="cosine"` it is (1 + cos(pi k / n)) / 2 of the first, at time k of the n epochs that calibrate, or of
    the n before them.
    """
    if config.decay == "none":
        return config.learning_rate
    main = config.epochs - config.calibration_epochs
    done, total = (epoch, main) if epoch < main else (epoch - main, config.calibration_epochs)
    return config.learning_rate * (1 + math.cos(math.pi * done / total)) / 2


class SeedDropout(keras.callbacks.Callback):
    """Make what is dropped out in an epoch a function of (seed, epoch): a run that goes on there drops out the same.

    Keras keeps the state of its random numbers out of the weights' files.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        """Seed the cell's dropout, if it has any."""
        dropout = getattr(rollout_layer(self.model).cell, "dropout", None)
        if dropout is not None and dropout.rate > 0:
            dropout.seed_generator.state.assign([self.seed, epoch * 2**16])
