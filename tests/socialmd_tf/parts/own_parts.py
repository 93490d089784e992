"""An interaction and a head as a user would write them, outside the package."""

import keras
from keras import ops

from socialmd_tf.layers import DensityLayout
from socialmd_tf.parts import register_head, register_interaction


class Centre(keras.layers.Layer):
    """A learned multiple of the displacement to the mean position of all real particles."""

    def build(self, positions_shape, *other_shapes, **named_shapes):
        self.strength = self.add_weight((1,), initializer="ones", name="strength")

    def call(self, positions, velocities, features, hidden_state, mask):
        total = ops.sum(positions * mask[..., None], axis=1, keepdims=True)
        return self.strength * (total / ops.sum(mask, axis=1)[:, None, None] - positions)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        return positions_shape


class StandStill(keras.layers.Layer):
    """The present position, with one learned standard deviation per particle."""

    def __init__(self, num_dimensions, scale_floor, **kwargs):
        super().__init__(**kwargs)
        self.layout = DensityLayout(num_dimensions, 1, False)
        self.scale_floor = scale_floor
        self.deviation = keras.layers.Dense(1, "softplus")

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        self.deviation.build(outputs_shape)

    def mean(self, parameters):
        return self.layout.mean(parameters)

    def get_initial_state(self, positions):
        return ()

    def observe(self, state, positions):
        return ()

    def call(self, outputs, inputs, state):
        positions = inputs["positions"]
        deviation = self.deviation(outputs) + self.scale_floor
        return ops.concatenate([positions, ops.broadcast_to(deviation, ops.shape(positions))], axis=-1), ()


@register_interaction("centre", reads=("cutoff",))
def centre(config, name):
    """Displacement to the centre of all particles."""
    return Centre(name=name)


@register_head("stand_still", reads=("correlated",))
def stand_still(config, name):
    """The present position."""
    return StandStill(config.num_dimensions, config.scale_floor, name=name)
