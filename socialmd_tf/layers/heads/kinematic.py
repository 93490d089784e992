"""The kinematic head: a correction of straight motion, with an uncertainty that grows by construction."""

import math

import keras
from keras import ops

from socialmd_tf.layers.cells.social import compress
from socialmd_tf.layers.density import DensityLayout, covariance_of
from socialmd_tf.layers.full_precision import FullPrecisionDense
from socialmd_tf.layers.heads.covariance import factor_entries, floored_factor


@keras.saving.register_keras_serializable(package="socialmd_tf")
class KinematicHead(keras.layers.Layer):
    """Density of the next position around straight motion plus a learned acceleration.

    In units of the frame interval, mean = x + v + a. The acceleration has covariance Q. Its errors move both position
    and velocity, so from one predicted frame to the next

        P_xx' = P_xx + P_xv + P_xv^T + P_vv + Q,  P_xv' = P_xv + P_vv + Q,  P_vv' = P_vv + Q

    and P_xx' is the covariance of the predicted position. After an observed frame all P are zero. a is linear in the
    output of the cell; its weights start at zero, so that an untrained head predicts straight motion. Q = L L^T, with
    the factor L of `factor_entries` from the compressed output of the cell: sign(x) log(1 + |x|).

    The components of a mixture share the mean. Their covariances are s_k^2 P_xx' + scale_floor^2 I; their weights and
    s_k come from the output of the cell. The wide components are for close encounters. P adds up within a component, so
    a drawn path keeps its component from frame to frame (`DensityLayout.draw`); drawn paths then have these densities.

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, number of components of the mixture.
        scale_floor: Smallest standard deviation of a component along any direction, in units of length.
        acceleration_scale: Typical second difference of positions, in units of length.
    """

    state_names = ("position_covariance", "position_velocity_covariance", "velocity_covariance")
    """What the tensors of the state are."""
    initial_deviation = 3.0
    """Raw standard deviation of new weights: softplus(3) = 3.05 acceleration scales. Accelerations are heavy-tailed;
    densities that start wide keep close encounters from dominating the loss."""

    def __init__(self, num_dimensions, num_components, scale_floor, acceleration_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.layout = DensityLayout(num_dimensions, num_components, True)
        self.scale_floor = scale_floor
        self.acceleration_scale = acceleration_scale
        self.acceleration = FullPrecisionDense(
            num_dimensions, use_bias=False, kernel_initializer="zeros", name="acceleration"
        )
        self.scale = FullPrecisionDense(
            self.layout.num_scales,
            kernel_initializer="zeros",
            bias_initializer=self._initial_scale,
            name="scale",
        )
        self.mixture = FullPrecisionDense(2 * num_components, kernel_initializer="zeros", name="mixture")

    def _initial_scale(self, shape, dtype=None):
        """Bias of new weights: equal standard deviations, no correlations."""
        num_correlations = shape[0] - self.layout.num_dimensions
        bias = [self.initial_deviation] * self.layout.num_dimensions + [0.0] * num_correlations
        return ops.convert_to_tensor(bias, dtype=dtype)

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        self.acceleration.build(outputs_shape)
        self.build_spread(outputs_shape)

    def build_spread(self, outputs_shape):
        """Create the weights of the predictive spread."""
        self.scale.build(outputs_shape)
        if self.layout.num_components > 1:
            self.mixture.build(outputs_shape)

    @property
    def is_moved_by_cell(self):
        """Whether means depend on the output of the cell."""
        return True

    @property
    def motion_layers(self):
        """Layers that predict means, and no spread."""
        return [self.acceleration]

    def mean(self, parameters):
        """Mean of the density, that of every component: `[B, N, P]` -> `[B, N, D]`, in units of length.

        An average over components would tie the weights of the mixture, by rounding, to the gradient of all later
        frames of a rollout, which chaos makes huge.
        """
        return self.layout.split(parameters)[1][..., 0, :]

    def get_initial_state(self, positions):
        """The state of an observed frame: P_xx, P_xv and P_vv of zero, each `[B, N, D, D]`."""
        shape = (*ops.shape(positions), self.layout.num_dimensions)
        return tuple(ops.zeros(shape) for _ in range(3))

    def observe(self, state, positions):
        """The state after an observed frame."""
        return self.get_initial_state(positions)

    def call(self, outputs, inputs, state):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, C]`.
            inputs: Input of the cell: `positions` and `velocities` `[B, N, D]`, in units of length.
            state: P_xx, P_xv, P_vv, each `[B, N, D, D]`, in units of length squared.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, and the new state.
        """
        mean = inputs["positions"] + inputs["velocities"] + self.correction(outputs)
        return self.spread(mean, outputs, state)

    def correction(self, outputs):
        """Learned acceleration `[B, N, D]`, in units of length per squared frame interval."""
        return self.acceleration_scale * self.acceleration(outputs)

    def spread(self, mean, outputs, state, growth=1.0, noise=0.0):
        """The density around a mean `[B, N, D]`: parameters `[B, N, P]`, and the new state.

        L is multiplied by `growth`, 1 or `[B, N, 1, 1]`. P_xx' in the density is P_xx' + `noise` I, with a variance in
        units of length squared.
        """
        outputs = compress(outputs)
        factor = self.layout.scale_tril(factor_entries(self.scale(outputs), self.layout.num_dimensions))
        factor = self.acceleration_scale * growth * factor
        state = self.propagate(state, covariance_of(factor), outputs)
        logits, widths = self._components(outputs)
        covariance = state[0] + noise * ops.eye(mean.shape[-1])
        covariances = ops.square(widths)[..., None, None] * covariance[..., None, :, :]
        shape = (*ops.shape(mean)[:-1], self.layout.num_components, mean.shape[-1])
        means = ops.broadcast_to(mean[..., None, :], shape)
        return self.layout.join(logits, means, floored_factor(covariances, self.scale_floor)), state

    def _components(self, outputs):
        """Logits and relative widths s of the components, each `[B, N, K]`."""
        if self.layout.num_components == 1:
            return None, ops.ones_like(outputs[..., :1])
        logits, widths = ops.split(self.mixture(outputs), 2, axis=-1)
        # New weights give s = 1, 1/4, 1/16, ...; the widest component keeps rare errors from dominating the loss.
        widths = ops.softplus(widths + math.log(math.e - 1))
        return logits, widths * 0.25 ** ops.arange(widths.shape[-1], dtype="float32")

    def propagate(self, state, noise, outputs):
        """The covariances of the next frame, that of the position first.

        Args:
            state: Those of this frame, each `[B, N, D, D]`.
            noise: Q `[B, N, D, D]`.
            outputs: Compressed output of the cell `[B, N, C]`, unused here.
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
