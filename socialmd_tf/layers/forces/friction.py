"""Friction: accelerations against the velocity."""

import keras
from keras import ops

from socialmd_tf.layers.forces.factors import factor_values


@keras.saving.register_keras_serializable(package="socialmd_tf")
class Friction(keras.layers.Layer):
    """a_i = -(sum over factors c of gamma_c p_c(f_i)) v_i; new weights give none.

    Args:
        factors: C factors, see `factor_values`.
    """

    def __init__(self, factors, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.factors = factors

    def build(self, velocities_shape=None, features_shape=None, mask_shape=None):
        """Create the weights: gamma `[C]`, per frame interval."""
        self.gamma = self.add_weight((len(self.factors),), "zeros", dtype="float32", autocast=False, name="gamma")

    def rates(self, features, mask=None):
        """Sum over c of gamma_c p_c(f_i), `[B, N, 1]`, per frame interval; 0 for padding.

        Args:
            features: `[B, N, F]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        """
        rates = ops.sum(factor_values(self.factors, features, mask) * self.gamma, axis=-1, keepdims=True)
        return rates if mask is None else rates * mask[..., None]

    def call(self, velocities, features, mask=None):
        """Accelerations `[B, N, D]`, in units of length per squared frame interval.

        Args:
            velocities: `[B, N, D]`, in units of length per frame interval.
            features: `[B, N, F]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        """
        return -self.rates(features, mask) * velocities

    def compute_output_shape(self, velocities_shape, *other_shapes, **named_shapes):
        """`[B, N, D]`."""
        return velocities_shape

    def get_config(self):
        """Arguments of the layer."""
        return {**super().get_config(), "factors": self.factors}
