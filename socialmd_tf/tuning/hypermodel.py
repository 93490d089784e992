"""From the values of hyperparameters to a model and its training, as a `keras_tuner.HyperModel`."""

import contextlib
import functools
from pathlib import Path

import keras_tuner
import tensorflow as tf

from pipelines.manifest import Manifest
from socialmd_tf.training import loop
from socialmd_tf.tuning.hyperparameters import value_in, with_values


class HyperModel(keras_tuner.HyperModel):
    """Models around a configuration, trained in the same way as by `train`.

    Args:
        config: The `TrainConfig` of everything that is not searched; its `epochs` are those of a trial.
        ranges: Names -> `Range`s, as `search_space.search_space` returns them.
    """

    def __init__(self, config, ranges):
        super().__init__(name="socialmd")
        self.base = config
        self.ranges = ranges

    def declare_hyperparameters(self, hp):
        """Register every hyperparameter, in the scope of its parent where it does not always matter."""
        for name, searched in self.ranges.items():
            with _scope(hp, searched):
                _declare(hp, name, searched, value_in(self.base, name))

    def hyperparameters(self):
        """All hyperparameters as a `keras_tuner.HyperParameters`."""
        hp = keras_tuner.HyperParameters()
        self.declare_hyperparameters(hp)
        return hp

    def config(self, hp):
        """The `TrainConfig` of a trial; Hyperband sets its number of epochs."""
        values = {name: value for name, value in hp.values.items() if name in self.ranges}
        return with_values(self.base, values | {"epochs": hp.values.get("tuner/epochs", self.base.epochs)})

    def build(self, hp):
        """A compiled model with new weights."""
        return loop.new_model(self.config(hp), self._manifest, self._scales, self._strategy)

    def fit(self, hp, model, callbacks=()):
        """Train the model; a model that Hyperband has trained before continues at the epoch that it had reached.

        Returns:
            The `History` of Keras.
        """
        first_epoch = hp.values.get("tuner/initial_epoch", 0)
        return loop.run_epochs(model, self.config(hp), Path(self.base.data), first_epoch, list(callbacks))

    @functools.cached_property
    def _manifest(self):
        return Manifest.load(Path(self.base.data))

    @functools.cached_property
    def _scales(self):
        return loop.motion_scales(Path(self.base.data), self.base)

    @functools.cached_property
    def _strategy(self):
        return tf.distribute.MirroredStrategy(loop.visible_devices())


def _scope(hp, searched):
    """The conditional scope of a hyperparameter that does not matter to every trial."""
    if searched.when is None:
        return contextlib.nullcontext()
    parent, values = searched.when
    return hp.conditional_scope(parent, list(values))


def _declare(hp, name, searched, default):
    if len(searched.values) == 1:
        hp.Fixed(name, searched.values[0])
    elif set(searched.values) == {False, True} and isinstance(default, bool):
        hp.Boolean(name, default=default)
    elif searched.values:
        hp.Choice(name, list(searched.values), default=default if default in searched.values else None)
    else:
        kind = hp.Int if isinstance(default, int) else hp.Float
        sampling = "log" if searched.log else "linear"
        kind(name, searched.low, searched.high, step=searched.step, sampling=sampling)
