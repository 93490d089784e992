"""Positions that are observed with noise, and the Kalman filter that estimates positions and velocities from them."""

import math

import keras
from keras import ops

_INITIAL_LOGARITHM = -20.0
_POOR = 1e3  # in units of R: with such a variance, the velocity is that of the last two positions
_UNKNOWN = 1e12  # in squared acceleration scales: the variance of a position that has not been observed
_NORMAL = math.pi / 2  # variance of a normal distribution whose mean absolute value is 1


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
    With kappa = 1, v is that of the last two frames, as without noise.

    Before the first frame, nothing is known of x, and v is 0 with the variance of typical moves, times s^2. Where P_xv
    is above 1000 R, two positions determine v, and P_vv is 2 R before it grows.

    What the law neglects adds up along a path, and the numbers above are learned from windows of T observed frames.
    Frames before the last T or so therefore do not count: on straight lines, after observed frames,

        P_xx >= R / T,   P_vv >= 12 R / (T (T^2 - 1)),

    which are the variances that the mean and the slope of T positions have.

    Covariances are multiples of the identity: of P, the mean of the diagonal counts. They are those of the widest
    component of the density; s is the ratio of its standard deviation and that of the mixture. sigma, kappa and s are
    exponentials of weights, at first 2e-9 acceleration scales, 2e-9, and 1.

    Args:
        acceleration_scale: Unit of sigma: typical second difference of positions, in units of length.
        move_scale: Typical move, the mean absolute value along an axis, in units of length.
        memory: T, at least 2.
    """

    def __init__(self, acceleration_scale, move_scale, memory, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.acceleration_scale = acceleration_scale
        self.move_scale = move_scale
        self.memory = memory

    def build(self, shape=None):
        """Create the weights."""
        start = keras.initializers.Constant(_INITIAL_LOGARITHM)
        self.logarithm = self.add_weight((), start, dtype="float32", autocast=False, name="logarithm")
        self.curvature = self.add_weight((), start, dtype="float32", autocast=False, name="curvature")
        self.width = self.add_weight((), "zeros", dtype="float32", autocast=False, trainable=False, name="width")

    def set_noise(self, deviation, curvature, width=1.0):
        """Set sigma, in units of length, kappa and s."""
        self.logarithm.assign(math.log(deviation / self.acceleration_scale))
        self.curvature.assign(math.log(curvature))
        self.width.assign(math.log(width))

    @property
    def variance(self):
        """R, in units of length squared."""
        return ops.square(self.acceleration_scale * ops.exp(self.logarithm))

    def before_first_frame(self, covariances):
        """P_xx, P_xv and P_vv before anything is observed; `covariances` have their shapes."""
        identity = ops.eye(covariances[0].shape[-1])
        moves = _NORMAL * ops.square(self.move_scale * ops.exp(self.width))
        variances = (_UNKNOWN * self.acceleration_scale**2, 0.0, moves)
        return tuple(part * identity + ops.zeros_like(old) for part, old in zip(variances, covariances, strict=True))

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
        filtered = [xx * noise / total, xv * noise / total, variance]
        if not is_drawn:
            filtered[2] += ops.exp(2 * self.curvature) * ops.mean(ops.square(correction), axis=-1, keepdims=True)
            filtered[0] = ops.maximum(filtered[0], noise / self.memory)
            filtered[2] = ops.maximum(filtered[2], 12 * noise / (self.memory * (self.memory**2 - 1)))
        identity = ops.eye(size)
        return (
            tuple(value[..., None] * identity for value in filtered),
            ops.stop_gradient(observed - noise / total * error),
            ops.stop_gradient(velocities + correction),
        )

    def observe_velocities(self, covariances):
        """Covariances where the velocities were observed too, exactly: those of the positions are left."""
        return (covariances[0], *map(ops.zeros_like, covariances[1:]))
