"""The displacement head: a correction of standing still, for bound particles that move at random."""

import keras
from keras import ops

from socialmd_tf.layers.full_precision import FullPrecisionDense
from socialmd_tf.layers.heads.kinematic import KinematicHead


@keras.saving.register_keras_serializable(package="socialmd_tf")
class DisplacementHead(KinematicHead):
    """Density of the next position around the present one plus a learned displacement.

    mean = x + d, with d linear in the output of the cell. Its weights start at zero: an untrained head predicts that
    particles stand still. The displacement has covariance Q, and a bound particle forgets its errors, so from one
    predicted frame to the next

        P' = g^2 P + Q,  0 < g < 1.

    This is the covariance of a random walk for g near 1, and of an Ornstein-Uhlenbeck process, which stays finite, for
    smaller g. P' is the covariance of the predicted position; after an observed frame P is zero. g is a sigmoid of the
    compressed output of the cell; Q and the mixture are those of `KinematicHead`.

    g stands for how the learned displacement contracts deviations. A drawn path has that contraction only as far as
    d learned it: without any, drawn paths spread as a random walk, beyond P.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, number of components of the mixture.
        scale_floor: Smallest standard deviation of a component along any direction, in units of length.
        move_scale: Typical move per frame, in units of length.
    """

    initial_deviation = 0.0
    """Raw standard deviation of new weights: softplus(0) = 0.69 move scales. Moves have no heavy tails."""

    def __init__(self, num_dimensions, num_components, scale_floor, move_scale, **kwargs):
        super().__init__(num_dimensions, num_components, scale_floor, move_scale, **kwargs)
        self.memory = FullPrecisionDense(1, "sigmoid", bias_initializer=keras.initializers.Constant(3.0), name="memory")

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        super().build(outputs_shape)
        self.memory.build(outputs_shape)

    state_names = KinematicHead.state_names[:1]

    def get_initial_state(self, positions):
        """The state of an observed frame: P of zero `[B, N, D, D]`."""
        return super().get_initial_state(positions)[:1]

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, C]`.
            inputs: Input of the cell: `positions` `[B, N, D]`, in units of length.
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
