"""No cell: particles without recurrent states, for heads that have a memory of their own."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="socialmd_tf")
class MemorylessCell(keras.layers.Layer):
    """No memory and no output: C = 0, and no states. The head does all the work."""

    def get_initial_state(self, batch_size, num_particles):
        """No states: an empty list."""
        return []

    def build(self, inputs_shape, states_shape=None):
        """There are no weights."""

    def call(self, inputs, states):
        """Return an empty output `[B, N, 0]` in float32, and no states.

        Args:
            inputs: Dictionary of `positions` `[B, N, D]`; other entries are not read.
            states: An empty list.
        """
        return ops.cast(inputs["positions"][..., :0], "float32"), []

    def compute_output_spec(self, inputs, states):
        """Symbolic results; Keras would take the empty list of states for the shape of a tensor."""
        return keras.KerasTensor((*inputs["positions"].shape[:2], 0), "float32"), []

    def compute_output_shape(self, inputs_shape, states_shape=None):
        """Shapes of the output and the states."""
        return (*inputs_shape["positions"][:2], 0), []
