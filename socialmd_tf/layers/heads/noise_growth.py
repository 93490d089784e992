"""Noise that grows with the acceleration."""

import keras
from keras import ops

_INITIAL_EXPONENT = -3.0
_TINY = 1e-12
_LARGEST_LOGARITHM = 20.0


class NoiseGrowth(keras.layers.Layer):
    """The factor (1 + |a| / a_0)^p of the standard deviation of a particle's noise.

    a is the change of the particle's velocity over a frame. Where it is large, two particles pass each other closely,
    and a small error of the position or of the law becomes a large one of the acceleration. p = softplus of a weight,
    0.05 at first; a_0 is the exponential of a weight, 1 at first.

    Args:
        acceleration_scale: Unit of a_0: typical second difference of positions, in units of length.
    """

    def __init__(self, acceleration_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.acceleration_scale = acceleration_scale

    def build(self, shape=None):
        """Create the weights."""
        start = keras.initializers.Constant(_INITIAL_EXPONENT)
        self.exponent = self.add_weight((), start, dtype="float32", autocast=False, name="exponent")
        self.threshold = self.add_weight((), "zeros", dtype="float32", autocast=False, name="threshold")

    def call(self, accelerations):
        """Factors `[B, N, 1, 1]` of a `[B, N, D]`, in units of length; no gradient passes through."""
        scaled = ops.stop_gradient(accelerations) / self.acceleration_scale
        sizes = ops.sqrt(ops.sum(ops.square(scaled), axis=-1) + _TINY)
        logarithms = ops.softplus(self.exponent) * ops.log1p(sizes * ops.exp(-self.threshold))
        return ops.exp(ops.minimum(logarithms, _LARGEST_LOGARITHM))[..., None, None]
