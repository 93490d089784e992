"""The thesis's head: the next position in absolute coordinates."""

import keras
from keras import ops

from socialmd_tf.layers.density import DensityLayout, covariance_of
from socialmd_tf.layers.full_precision import FullPrecisionDense
from socialmd_tf.layers.heads.covariance import factor_entries, floored_factor


@keras.saving.register_keras_serializable(package="socialmd_tf")
class AbsoluteHead(keras.layers.Layer):
    """Density of the next position in absolute coordinates: parameters = activation(W outputs), without bias.

    Logits and means are linear. The covariance of a component is C + scale_floor^2 I. Diagonal components have
    C = diag(softplus(z)^2). Correlated ones have C = L L^T with the factor L of `factor_entries`: in 2D, that of two
    standard deviations softplus(z) and a correlation tanh(z) (thesis section 2.5).

    Args:
        num_dimensions: D, 2 or 3.
        num_components: K, number of components of the mixture.
        correlated: Whether components have full covariances.
        scale_floor: Smallest standard deviation along any direction, in units of length.
    """

    def __init__(self, num_dimensions, num_components, correlated, scale_floor, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.layout = DensityLayout(num_dimensions, num_components, correlated)
        self.scale_floor = scale_floor
        self.dense = FullPrecisionDense(self.layout.size, use_bias=False, name="dense")

    def build(self, outputs_shape, inputs_shape=None, state_shape=None):
        """Create the weights."""
        self.dense.build(outputs_shape)

    def mean(self, parameters):
        """Mean of the density, `[B, N, P]` -> `[B, N, D]`, in units of length."""
        return self.layout.mean(parameters)

    def get_initial_state(self, positions):
        """The state before the first frame: empty."""
        return ()

    def observe(self, state, positions):
        """The state after an observed frame: empty."""
        return ()

    def call(self, outputs, inputs=None, state=()):
        """Predict the density of the next positions.

        Args:
            outputs: Output of the cell, `[B, N, H + embedding]`.
            inputs: Input of the cell, unused here.
            state: `()`.

        Returns:
            Parameters `[B, N, P]` in the order of `DensityLayout`, in units of length, and the state `()`.
        """
        logits, loc, raw = self.layout.split(self.dense(outputs))
        return self.layout.join(logits, loc, self._scales(raw)), ()

    def _scales(self, raw):
        if not self.layout.correlated:
            return ops.sqrt(ops.square(ops.softplus(raw)) + self.scale_floor**2)
        factor = self.layout.scale_tril(factor_entries(raw, self.layout.num_dimensions))
        return floored_factor(covariance_of(factor), self.scale_floor)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "num_dimensions": self.layout.num_dimensions,
            "num_components": self.layout.num_components,
            "correlated": self.layout.correlated,
            "scale_floor": self.scale_floor,
        }
