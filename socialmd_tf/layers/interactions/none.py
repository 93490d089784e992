"""No interaction: every particle by itself."""

import keras


@keras.saving.register_keras_serializable(package="socialmd_tf")
class NoInteraction(keras.layers.Layer):
    """Every particle alone: nothing learnt from the others, E = 0."""

    def build(self, positions_shape, *other_shapes, **named_shapes):
        """There are no weights."""

    def call(self, positions, velocities, features, hidden_state, mask):
        """Return an empty `[B, N, 0]`."""
        return hidden_state[..., :0]

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, 0]`."""
        return (*positions_shape[:2], 0)
