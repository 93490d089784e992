"""The kinematic head: a correction of straight motion, with an uncertainty that grows by construction."""

import math

import keras
from keras import ops

from socialmd_tf.layers.cells.social import compress
from socialmd_tf.layers.density import DensityLayout
from socialmd_tf.layers.heads.absolute import factor_entries

_MIN_WIDTH = 1e-6


@keras.saving.register_keras_serializable(package="socialmd_tf")
class KinematicHead(keras.layers.Layer):
    """Density of the next position around straight motion plus a learned acceleration.

    In units of the frame interval, mean = x + v + a. The acceleration has covariance Q, and its errors move both
    position and velocity, so from one predicted frame to the next

        P_xx' = P_xx + P_xv + P_xv^T + P_vv + Q,  P_xv' = P_xv + P_vv + Q,  P_vv' = P_vv + Q

    and P_xx' is the covariance of the predicted position; after an observed frame all P are zero. a is linear in what
    the cell gives, with weights that start at zero: an untrained head predicts straight motion. The factor of Q is
    made as that of `AbsoluteHead`, from what the cell gives, compressed. A mixture has components around the same mean,
    with covariances s_k^2 P_xx', and weights and s_k from what the cell gives: its tails are those of close encounters.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, components of the mixture.
        scale_floor: Smallest standard deviation of an acceleration, in units of length; times s_k in a component.
        acceleration_scale: Typical second difference of positions, in units of length.
    """

    def __init__(self, num_dimensions, num_components, scale_floor, acceleration_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.layout = DensityLayout(num_dimensions, num_components, True)
        self.scale_floor = scale_floor
        self.acceleration_scale = acceleration_scale
        self.acceleration = keras.layers.Dense(
            num_dimensions, use_bias=False, kernel_initializer="zeros", dtype="float32", name="acceleration"
        )
        # Accelerations are heavy-tailed: beginning with wide densities keeps close encounters from ruling the loss.
        self.scale = keras.layers.Dense(
            self.layout.num_scales,
            bias_initializer=keras.initializers.Constant(3.0),
            dtype="float32",
            name="scale",
        )
        self.mixture = keras.layers.Dense(
            2 * num_components, kernel_initializer="zeros", dtype="float32", name="mixture"
        )

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        self.acceleration.build(outputs_shape)
        self.build_spread(outputs_shape)

    def build_spread(self, outputs_shape):
        """Create the weights that say how far the truth is from the mean."""
        self.scale.build(outputs_shape)
        if self.layout.num_components > 1:
            self.mixture.build(outputs_shape)

    @property
    def is_moved_by_cell(self):
        """Whether means depend on what the cell gives."""
        return True

    @property
    def motion_layers(self):
        """Layers that predict means, and not how far the truth is from them."""
        return [self.acceleration]

    def mean(self, parameters):
        """Mean `[B, N, D]` of the density: that of every component.

        Averaging them would tie the mixture's weights, by rounding, to the gradient of all that follows in a rollout,
        which chaos makes huge.
        """
        return self.layout.split(parameters)[1][..., 0, :]

    def get_initial_state(self, positions):
        """The state of a frame that was observed: P_xx, P_xv and P_vv of zero, each `[B, N, D, D]`."""
        shape = (*ops.shape(positions), self.layout.num_dimensions)
        return tuple(ops.zeros(shape) for _ in range(3))

    def observe(self, state, positions):
        """The state of a frame that was observed."""
        return self.get_initial_state(positions)

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: What the cell gives, `[B, N, C]`.
            inputs: What the cell read: `positions` and `velocities` `[B, N, D]`, in units of length.
            state: P_xx, P_xv, P_vv, each `[B, N, D, D]`, in units of length squared.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        mean = inputs["positions"] + inputs["velocities"] + self.correction(outputs)
        return self.spread(mean, outputs, state)

    def correction(self, outputs):
        """Learned acceleration `[B, N, D]`, in units of length per squared frame interval."""
        return self.acceleration_scale * self.acceleration(outputs)

    def spread(self, mean, outputs, state):
        """The density around a mean `[B, N, D]`: parameters `[B, N, P]`, and the new state."""
        floor = self.scale_floor / self.acceleration_scale
        outputs = compress(outputs)
        factor = self.layout.scale_tril(factor_entries(self.scale(outputs), self.layout.num_dimensions, floor))
        factor = self.acceleration_scale * factor
        noise = ops.matmul(factor, ops.swapaxes(factor, -1, -2))
        state = self.propagate(state, noise, outputs)
        scales = _cholesky_entries(state[0], self.scale_floor)[..., None, :]
        logits = None
        if self.layout.num_components > 1:
            logits, widths = ops.split(self.mixture(outputs), 2, axis=-1)
            # New weights give s = 1, 1/4, 1/16, ...; the widest keeps rare errors from ruling the loss. A component of
            # no width would have no finite density.
            widths = ops.maximum(ops.softplus(widths + math.log(math.e - 1)), _MIN_WIDTH)
            widths = widths * 0.25 ** ops.arange(widths.shape[-1], dtype="float32")
            scales = scales * widths[..., None]
        means = ops.repeat(mean[..., None, :], self.layout.num_components, axis=-2)
        return self.layout.join(logits, means, scales), state

    def propagate(self, state, noise, outputs):
        """The covariances of the next frame, that of the position first.

        Args:
            state: Those of this frame, each `[B, N, D, D]`.
            noise: Q `[B, N, D, D]`.
            outputs: What the cell gives, compressed `[B, N, C]`; unused here.
        """
        position, mixed, velocity = state
        velocity_new = velocity + noise
        return position + mixed + ops.swapaxes(mixed, -1, -2) + velocity_new, mixed + velocity_new, velocity_new

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "num_dimensions": self.layout.num_dimensions,
            "scale_floor": self.scale_floor,
            "acceleration_scale": self.acceleration_scale,
            "num_components": self.layout.num_components,
        }


def _cholesky_entries(matrices, floor):
    """Lower triangle, row by row, of the Cholesky factor of `[..., D, D]`, its diagonal at least `floor` / 100.

    Written out, since the library's stops the whole program where rounding makes a matrix indefinite.
    """
    size = matrices.shape[-1]
    factor = {}
    for row in range(size):
        for column in range(row + 1):
            rest = matrices[..., row, column]
            for k in range(column):
                rest = rest - factor[row, k] * factor[column, k]
            if row == column:
                factor[row, column] = ops.sqrt(ops.maximum(rest, (floor / 100) ** 2))
            else:
                factor[row, column] = rest / factor[column, column]
    return ops.stack([factor[row, column] for row in range(size) for column in range(row + 1)], axis=-1)
