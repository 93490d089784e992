"""Radial functions: cubic splines in log r, kept constant outside a range."""

import math

import keras
from keras import ops

_TINY = 1e-30
_SWITCH_START = 0.9


@keras.saving.register_keras_serializable(package="socialmd_tf")
class RadialSplines(keras.layers.Layer):
    """C functions of the distance, g_c(log r) / max(r, core)^3, times the displacement a force.

    g_c is a cubic spline on K - 3 equal intervals of log r from `nearest` to `farthest`; outside it keeps its value at
    the end. So a force changes as r^-2 outside the range, and falls linearly to 0 inside the core: it is finite and
    continuous everywhere. With K = 1, g_c is a constant.

    The range and the core are weights that are not trained (as logarithms), so that a fit can set them; the arguments
    are their first values.

    Args:
        num_functions: C.
        num_knots: K, at least 4, or 1.
        nearest: Start of the range, in units of length.
        farthest: End of the range.
        core: Distance below which the divisor r^3 no longer shrinks.
    """

    def __init__(self, num_functions, num_knots, nearest, farthest, core, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not 0 < nearest < farthest or core <= 0 or (num_knots < 4 and num_knots != 1):
            raise ValueError(
                "`nearest` and `core` must be positive, `farthest` larger than `nearest`, `num_knots` 1 or at least 4. "
                f"Received: {nearest}, {core}, {farthest}, {num_knots}"
            )
        self.num_functions = num_functions
        self.num_knots = num_knots
        self.nearest = nearest
        self.farthest = farthest
        self.core = core

    def build(self, distances_shape=None):
        """Create the weights."""
        shape = (self.num_functions, self.num_knots)
        self.coefficients = self.add_weight(shape, "zeros", dtype="float32", autocast=False, name="coefficients")
        self.range = self.add_weight((3,), "zeros", trainable=False, dtype="float32", autocast=False, name="range")
        self.set_range(self.nearest, self.farthest, self.core)

    def set_range(self, nearest, farthest, core):
        """Set the range and the core, in units of length."""
        self.range.assign([math.log(nearest), math.log(math.log(farthest / nearest)), math.log(core)])

    def call(self, distances):
        """g_c(log r) / max(r, core)^3 `[C, ...]` at distances `[...]`."""
        start, width, core = self.range[0], ops.exp(self.range[1]), ops.exp(self.range[2])
        divisor = ops.maximum(distances, core)
        divisor = divisor * ops.square(divisor)
        if self.num_knots == 1:
            return ops.reshape(self.coefficients, (-1, *[1] * len(distances.shape))) / divisor
        scaled = (ops.log(ops.maximum(distances, _TINY)) - start) * ((self.num_knots - 3) / width)
        scaled = ops.clip(scaled, 0.0, float(self.num_knots - 3))
        first = ops.stop_gradient(ops.minimum(ops.cast(scaled, "int32"), self.num_knots - 4))
        place = scaled - ops.cast(first, scaled.dtype)
        # One plane for each power and function: [4, C, K - 3] -> [4, C, ...].
        taken = ops.take(self._polynomials(), first, axis=2)
        constant, linear, square, cube = (taken[power] for power in range(4))
        values = constant + place * (linear + place * (square + place * cube))
        return values / divisor

    def _polynomials(self):
        """Polynomials of the place in each interval `[4, C, K - 3]`, constant first."""
        last = self.num_knots - 3
        a, b, c, d = (self.coefficients[:, k : last + k] for k in range(4))
        return ops.stack([a + 4 * b + c, 3 * (c - a), 3 * (a - 2 * b + c), d - 3 * c + 3 * b - a]) / 6

    def compute_output_shape(self, distances_shape):
        """`[C, ...]`."""
        return (self.num_functions, *distances_shape)

    def get_config(self):
        """Arguments of the layer."""
        names = ("num_functions", "num_knots", "nearest", "farthest", "core")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def switch(distances, cutoff):
    """S(r): 1 up to 0.9 of the cutoff, 0 beyond it, between them 1 - 10 z^3 + 15 z^4 - 6 z^5; 1 without a cutoff."""
    if cutoff is None:
        return ops.ones_like(distances)
    return fall((distances / cutoff - _SWITCH_START) / (1 - _SWITCH_START))


def fall(z):
    """1 up to z = 0, 0 from z = 1 on, between them 1 - 10 z^3 + 15 z^4 - 6 z^5, which is smooth at both ends."""
    z = ops.clip(z, 0.0, 1.0)
    return 1 - z**3 * (10 - 15 * z + 6 * z**2)
