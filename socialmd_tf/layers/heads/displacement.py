"""The displacement head: a correction of standing still, for what moves at random and is held together."""

import keras
from keras import ops

from socialmd_tf.layers.heads.kinematic import KinematicHead


@keras.saving.register_keras_serializable(package="socialmd_tf")
class DisplacementHead(KinematicHead):
    """Density of the next position around the present one plus a learned displacement.

    mean = x + d, with d linear in what the cell gives and weights that start at zero: an untrained head predicts that
    everything stays where it is. The displacement has covariance Q, and what is bound forgets its errors, so from one
    predicted frame to the next

        P' = g^2 P + Q,  0 < g < 1,

    the covariance of a random walk for g near 1, and below that of an Ornstein-Uhlenbeck process, which stays finite.
    P' is the covariance of the predicted position; after an observed frame P is zero. Q and the mixture are made as by
    the `KinematicHead`, g by a sigmoid of what the cell gives, compressed.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, components of the mixture.
        scale_floor: Smallest standard deviation of a displacement, in units of length; times s_k in a component.
        move_scale: Typical move from frame to frame, in units of length.
    """

    def __init__(self, num_dimensions, num_components, scale_floor, move_scale, **kwargs):
        super().__init__(num_dimensions, num_components, scale_floor, move_scale, **kwargs)
        # Moves have no heavy tails; and nothing is known of the directions of a molecule's yet.
        self.scale.bias_initializer = keras.initializers.Zeros()
        self.memory = keras.layers.Dense(
            1, activation="sigmoid", bias_initializer=keras.initializers.Constant(3.0), dtype="float32", name="memory"
        )

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        super().build(outputs_shape)
        self.memory.build(outputs_shape)

    def get_initial_state(self, positions):
        """The state of a frame that was observed: P of zero `[B, N, D, D]`."""
        return super().get_initial_state(positions)[:1]

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: What the cell gives, `[B, N, C]`.
            inputs: What the cell read: `positions` `[B, N, D]`, in units of length.
            state: P `[B, N, D, D]`, in units of length squared.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        return self.spread(inputs["positions"] + self.correction(outputs), outputs, state)

    def propagate(self, state, noise, outputs):
        """P of the next frame."""
        kept = ops.square(self.memory(outputs))
        return (kept[..., None] * state[0] + noise,)

    def get_config(self):
        """Arguments of the layer."""
        config = super().get_config()
        config["move_scale"] = config.pop("acceleration_scale")
        return config
