"""No interaction: each particle alone."""

import keras


@keras.saving.register_keras_serializable(package="socialmd_tf")
class NoInteraction(keras.layers.Layer):
    """No neighbours: gamma is empty, E = 0."""

    def build(self, positions_shape, *other_shapes, **named_shapes):
        """There are no weights."""

    def call(self, positions, velocities, features, hidden_state, mask, box=None):
        """Return an empty gamma `[B, N, 0]`."""
        return hidden_state[..., :0]

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, 0]`."""
        return (*positions_shape[:2], 0)
