"""Positions that are observed with noise, and the Kalman filter that estimates positions and velocities from them."""

import math

import keras
from keras import ops

_INITIAL_LOGARITHM = -20.0
_POOR = 1e3  # in units of R: with such a variance, the velocity is that of the last two positions
_UNKNOWN = 1e12  # in squared acceleration scales: the variance of what has not been observed


class MeasurementNoise(keras.layers.Layer):
    """A Kalman filter of observed positions (Kalman 1960), whose noise has the variance R = sigma^2 along each axis.

    Before a frame, the law predicts the position x and the velocity v of a particle; P_xx, P_xv and P_vv are the
    covariances of their errors. The observed position y gives

        x <- x + P_xx / S (y - x),   v <- v + P_xv / S (y - x),   S = P_xx + R
        P_xx <- P_xx R / S,   P_xv <- P_xv R / S,   P_vv <- P_vv - P_xv^2 / S

    With R = 0 this is x <- y and v <- v + (y - x). With much noise and few errors of the law, it is the path under the
    law with the least squares of all observed frames. Frames that were drawn from the predicted density count as
    observed: drawn paths are those of positions as they would be observed.

    The law was followed from an x and a v that a new y corrects. Where forces change along the path, the corrected v
    therefore has an error of a fraction kappa of its correction: P_vv also grows by kappa^2 (P_xv / S)^2 |y - x|^2 / D.
    With kappa = 1, v is that of the last two frames, as without noise. Before the first frame, nothing is known of x
    and v, and v is taken as 0. Where P_xv is above 1000 R, two positions determine v, and P_vv is 2 R before it grows.

    Covariances are multiples of the identity: of P, the mean of the diagonal counts. sigma and kappa are exponentials
    of weights, at first 2e-9 acceleration scales, and 2e-9.

    Args:
        acceleration_scale: Unit of sigma: typical second difference of positions, in units of length.
    """

    def __init__(self, acceleration_scale, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.acceleration_scale = acceleration_scale

    def build(self, shape=None):
        """Create the weights."""
        start = keras.initializers.Constant(_INITIAL_LOGARITHM)
        self.logarithm = self.add_weight((), start, dtype="float32", autocast=False, name="logarithm")
        self.curvature = self.add_weight((), start, dtype="float32", autocast=False, name="curvature")

    def set_noise(self, deviation, curvature):
        """Set sigma, in units of length, and kappa."""
        self.logarithm.assign(math.log(deviation / self.acceleration_scale))
        self.curvature.assign(math.log(curvature))

    @property
    def variance(self):
        """R, in units of length squared."""
        return ops.square(self.acceleration_scale * ops.exp(self.logarithm))

    @property
    def _unknown(self):
        return _UNKNOWN * self.acceleration_scale**2

    def before_first_frame(self, covariances):
        """P_xx, P_xv and P_vv of position and velocity of which nothing is known; `covariances` have their shapes."""
        unknown = self._unknown * ops.eye(covariances[0].shape[-1])
        return tuple(part * unknown + ops.zeros_like(old) for part, old in zip((1, 0, 1), covariances, strict=True))

    def observe(self, covariances, positions, velocities, observed, is_drawn=False):
        """Estimates after an observed frame.

        Args:
            covariances: P_xx, P_xv and P_vv, each `[B, N, D, D]`, in units of length squared.
            positions: Predicted x `[B, N, D]`, in units of length.
            velocities: Predicted v `[B, N, D]`, in units of length per frame interval.
            observed: y `[B, N, D]`, in units of length.
            is_drawn: Whether y was drawn from the predicted density: paths that are drawn under the law do not bend
                otherwise, as with a kappa of 0.

        Returns:
            New covariances, positions and velocities. No gradient passes through positions and velocities.
        """
        size = covariances[0].shape[-1]
        xx, xv, vv = (ops.einsum("...ii->...", value)[..., None] / size for value in covariances)
        noise = self.variance
        total = xx + noise
        error = ops.stop_gradient(observed - positions)
        correction = xv / total * error
        # Differences of large numbers would not give the variance of a velocity that two positions determine.
        variance = ops.where(xv > _POOR * noise, 2 * noise, ops.maximum(vv - ops.square(xv) / total, 0.0))
        if not is_drawn:
            variance += ops.exp(2 * self.curvature) * ops.mean(ops.square(correction), axis=-1, keepdims=True)
        filtered = (xx * noise / total, xv * noise / total, variance)
        identity = ops.eye(size)
        return (
            tuple(value[..., None] * identity for value in filtered),
            ops.stop_gradient(observed - noise / total * error),
            ops.stop_gradient(velocities + correction),
        )

    def observe_velocities(self, covariances):
        """Covariances where the velocities were observed too, exactly: those of the positions are left."""
        return (covariances[0], *map(ops.zeros_like, covariances[1:]))
