"""An external field: accelerations that depend on where a particle is."""

import itertools

import keras
from keras import ops

from socialmd_tf.layers.forces.factors import factor_values
from socialmd_tf.layers.full_precision import product

_DEGREE = 3


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PolynomialField(keras.layers.Layer):
    """Accelerations by fields that are polynomials of degree 3 of the position.

        a_i = sum over factors c of p_c(f_i) E_c((x_i - center) / length)

    A field distinguishes places and directions: with it a model is no longer the same wherever the system is or however
    it is turned, so training data must not be rotated. New weights give no field.

    Args:
        factors: C factors, see `factor_values`.
        num_dimensions: D.
        acceleration_scale: Multiplies all, in units of length per squared frame interval.
    """

    is_equivariant = False

    def __init__(self, factors, num_dimensions, acceleration_scale=1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.factors = factors
        self.num_dimensions = num_dimensions
        self.acceleration_scale = acceleration_scale
        powers = itertools.product(range(_DEGREE + 1), repeat=num_dimensions)
        self.exponents = [power for power in powers if sum(power) <= _DEGREE]

    def build(self, positions_shape=None, features_shape=None, mask_shape=None):
        """Create the weights: coefficients, and the center and the length as weights that are not trained."""
        shape = (len(self.factors), self.num_dimensions, len(self.exponents))
        self.coefficients = self.add_weight(shape, "zeros", dtype="float32", autocast=False, name="coefficients")
        self.center = self.add_weight(
            (self.num_dimensions,), "zeros", trainable=False, dtype="float32", autocast=False, name="center"
        )
        self.log_length = self.add_weight(
            (), "zeros", trainable=False, dtype="float32", autocast=False, name="log_length"
        )

    def call(self, positions, features, mask=None):
        """Accelerations `[B, N, D]`, in units of length per squared frame interval; 0 for padding.

        Args:
            positions: `[B, N, D]`, in units of length, unwrapped.
            features: `[B, N, F]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        """
        scaled = (positions - self.center) * ops.exp(-self.log_length)
        coefficients = ops.reshape(self.coefficients, (-1, len(self.exponents)))
        fields = product(self._monomials(scaled), ops.transpose(coefficients))
        fields = ops.reshape(fields, (*ops.shape(fields)[:2], len(self.factors), self.num_dimensions))
        factors = factor_values(self.factors, features, mask)
        result = self.acceleration_scale * ops.sum(factors[..., None] * fields, axis=2)
        return result if mask is None else result * mask[..., None]

    def _monomials(self, scaled):
        """`[B, N, Q]`."""
        powers = [ops.ones_like(scaled)]
        for _ in range(_DEGREE):
            powers.append(powers[-1] * scaled)
        values = []
        for exponents in self.exponents:
            value = powers[exponents[0]][..., 0]
            for axis, exponent in enumerate(exponents[1:], start=1):
                value = value * powers[exponent][..., axis]
            values.append(value)
        return ops.stack(values, axis=-1)

    def compute_output_shape(self, positions_shape, *other_shapes, **named_shapes):
        """`[B, N, D]`."""
        return positions_shape

    def get_config(self):
        """Arguments of the layer."""
        names = ("factors", "num_dimensions", "acceleration_scale")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
