"""Windows and a model small enough for tests."""

import dataclasses

import keras

from pipelines.config import DataConfig
from socialmd_tf.config import ModelConfig
from socialmd_tf.training.optimizer import NonFiniteSkippingNadam

WINDOWS = DataConfig(subsample=2, subsample_phases=1, warm_up_steps=2, rollout_steps=3, window_shift=2, rotations=0)
SMALL = ModelConfig(
    num_features=1,
    rollout_steps=3,
    units=8,
    input_embedding=4,
    state_embedding=4,
    interaction_embedding=4,
    bins=8,
    filters=(2,),
    kernel_size=2,
    side_lengths=(4.0,),
)
ALONE = dataclasses.replace(SMALL, cell="plain", interaction="none", input_layers=(4,), lstm_layers=(4,))
"""Particles that do not see each other; the graph is built in a fifth of the time."""


def linear_model(learning_rate=0.1):
    """Two inputs, one output, the optimizer of training."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(NonFiniteSkippingNadam(learning_rate), "mse")
    model.optimizer.build(model.trainable_variables)
    return model
