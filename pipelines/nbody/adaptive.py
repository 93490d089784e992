"""Accurate integration of many N-body systems over short times, with time steps set by the closest pair."""

import numpy as np
import tensorflow as tf

from pipelines.nbody.forces import Array
from pipelines.nbody.verlet import pairs

_FRACTION = 0.1
_MAX_STEPS = 100_000


def flow(positions: Array, velocities: Array, masses: Array, couplings: Array, duration: float) -> tuple[Array, Array]:
    """Integrate S systems under U = sum over pairs of g_ij / r_ij by the classical Runge-Kutta method.

    Each system has its own time steps: a tenth of the shortest time in which any of its pairs would cover the
    distance between them, r / |v|, or fall together from rest, (r^3 m_i m_j / (|g| (m_i + m_j)))^(1/2). Unlike
    velocity Verlet, the method does not conserve the energy over long times, but it resolves close encounters.

    Args:
        positions: `[D, N, S]`.
        velocities: `[D, N, S]`.
        masses: `[N, S]`.
        couplings: g `[N, N, S]`, see `pipelines.nbody.forces.couplings`.
        duration: Time to integrate.

    Returns:
        Positions and velocities `[D, N, S]` at the end; NaN for a system that needs more than 100 000 steps.
    """
    with tf.device("CPU:0"):
        inputs = [tf.constant(x, tf.float64) for x in (positions, velocities, masses, couplings, duration)]
        positions, velocities = (np.array(x) for x in _flow(*inputs))
        return positions, velocities


@tf.function(jit_compile=True)
def _flow(
    positions: tf.Tensor, velocities: tf.Tensor, masses: tf.Tensor, couplings: tf.Tensor, duration: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    weights = -couplings / masses[:, None]
    attractions = tf.abs(couplings) * (1 / masses[:, None] + 1 / masses[None, :])

    def derivative(positions: tf.Tensor, velocities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        displacement, squared = pairs(positions)
        return velocities, tf.reduce_sum(weights / (squared * tf.sqrt(squared)) * displacement, axis=2)

    def time_step(positions: tf.Tensor, velocities: tf.Tensor) -> tf.Tensor:
        squared, (change, _) = pairs(positions)[1], pairs(velocities)
        to_pass = squared / tf.reduce_sum(change**2, axis=0)
        to_fall = squared * tf.sqrt(squared) / attractions
        return _FRACTION * tf.sqrt(tf.reduce_min(tf.minimum(to_pass, to_fall), axis=(0, 1)))

    def step(
        count: tf.Tensor, left: tf.Tensor, positions: tf.Tensor, velocities: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        h = tf.minimum(time_step(positions, velocities), left)
        v1, a1 = derivative(positions, velocities)
        v2, a2 = derivative(positions + h / 2 * v1, velocities + h / 2 * a1)
        v3, a3 = derivative(positions + h / 2 * v2, velocities + h / 2 * a2)
        v4, a4 = derivative(positions + h * v3, velocities + h * a3)
        positions += h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        velocities += h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        return count + 1, left - h, positions, velocities

    _, left, positions, velocities = tf.while_loop(
        lambda count, left, *_: tf.reduce_any(left > 0) & (count < _MAX_STEPS),
        step,
        (0, tf.fill(tf.shape(positions)[2:], duration), positions, velocities),
    )
    unfinished = tf.where(left > 0, tf.constant(np.nan, tf.float64), 0.0)
    return positions + unfinished, velocities + unfinished
