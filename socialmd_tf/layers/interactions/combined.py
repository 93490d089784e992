"""Several interactions side by side."""

import keras
from keras import ops

from socialmd_tf.layers.build_once import build_once


@keras.saving.register_keras_serializable(package="socialmd_tf")
class CombinedInteraction(keras.layers.Layer):
    """Several interactions side by side: gamma = [gamma_1, gamma_2, ...], E = E_1 + E_2 + ...

    The LSTM and a kinematic head read gamma through a linear map, W gamma = W_1 gamma_1 + W_2 gamma_2 + ...: a weighted
    sum of the interactions, whose widths may differ.

    Args:
        interactions: Layers as described in `socialmd_tf.layers.interactions`.
    """

    def __init__(self, interactions, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.interactions = list(interactions)

    def build(self, positions_shape, velocities_shape, features_shape, hidden_state_shape, mask_shape=None):
        """Create the weights."""
        for interaction in self.interactions:
            build_once(interaction, positions_shape, velocities_shape, features_shape, hidden_state_shape, mask_shape)

    def call(self, positions, velocities, features, hidden_state, mask, box=None):
        """Apply each interaction.

        Args:
            positions: `[B, N, D]`, in units of length.
            velocities: Last moves `[B, N, D]`, in units of length.
            features: `[B, N, F]`.
            hidden_state: `[B, N, H]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

        Returns:
            gamma `[B, N, E]`.
        """
        arguments = positions, velocities, features, hidden_state, mask
        known = {} if box is None else {"box": box}
        gammas = [interaction(*arguments, **known) for interaction in self.interactions]
        return ops.concatenate([ops.cast(gamma, "float32") for gamma in gammas], axis=-1)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, E]`."""
        widths = [interaction.compute_output_shape(positions_shape)[-1] for interaction in self.interactions]
        return (*positions_shape[:2], sum(widths))

    def get_config(self):
        """Arguments of the layer."""
        interactions = [keras.saving.serialize_keras_object(interaction) for interaction in self.interactions]
        return {**super().get_config(), "interactions": interactions}

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        interactions = [keras.saving.deserialize_keras_object(one) for one in config.pop("interactions")]
        return cls(interactions, **config)
