"""Integrator of charges in a box with elastic walls: a readable definition and a fast version.

It is the integrator of the charged particles of Kipf et al. 2018 ("Neural Relational Inference for Interacting
Systems"): their published errors can be compared only on data made in the same way.
"""

import numpy as np
import tensorflow as tf

from pipelines.nbody.forces import Array, forces
from pipelines.nbody.verlet import pairs


def reflect(positions: Array, velocities: Array, half_width: float) -> tuple[Array, Array]:
    """Reflect particles at elastic walls: x -> 2 L - x and v -> -|v| beyond L, mirrored beyond -L, in every coordinate.

    Args:
        positions: Any shape, at most 3 L from the origin.
        velocities: The same shape.
        half_width: L; the walls are at -L and L.

    Returns:
        Positions within the walls, and velocities away from the walls that were hit.
    """
    inside = np.clip(positions, -half_width, half_width)
    over, under = positions > half_width, positions < -half_width
    velocities = np.where(over, -np.abs(velocities), np.where(under, np.abs(velocities), velocities))
    return 2 * inside - positions, velocities


def kick_and_drift(
    positions: Array,
    velocities: Array,
    charges: Array,
    *,
    coulomb_constant: float,
    max_force: float,
    half_width: float,
    time_step: float,
    num_steps: int,
) -> tuple[Array, Array]:
    """Integrate one system of unit masses under clipped Coulomb forces F, between elastic walls.

    Each step is a kick, a drift and a reflection:

        v <- v + dt clip(F(x), -max_force, max_force);  x <- x + dt v;  walls

    with forces clipped by component. The error is of first order in dt. Taken as the velocity half a step
    earlier, v is that of a leapfrog integrator, of second order.

    Args:
        positions: `[N, D]`.
        velocities: `[N, D]`.
        charges: `[N]`.
        coulomb_constant: k of the Coulomb energy k q_i q_j / r.
        max_force: Largest component of the force on a particle.
        half_width: The walls are at plus and minus this.
        time_step: dt.
        num_steps: Number of steps.

    Returns:
        Positions and velocities `[N, D]` after the last step.
    """
    masses = np.ones_like(charges)
    for _ in range(num_steps):
        force = forces(positions, masses, charges, coulomb_constant, 0.0)
        velocities = velocities + time_step * np.clip(force, -max_force, max_force)
        positions, velocities = reflect(positions + time_step * velocities, velocities, half_width)
    return positions, velocities


def advance(
    positions: Array,
    velocities: Array,
    couplings: Array,
    *,
    max_force: float,
    half_width: float,
    time_step: float,
    num_steps: int,
    num_frames: int,
) -> tuple[Array, Array]:
    """Integrate S systems as `kick_and_drift` does, compiled by XLA for the CPU; the system axis is last.

    Args:
        positions: `[D, N, S]`.
        velocities: `[D, N, S]`.
        couplings: k q_i q_j, 0 for i = j, `[N, N, S]`.
        max_force: As for `kick_and_drift`.
        half_width: As for `kick_and_drift`.
        time_step: dt.
        num_steps: Number of steps per frame.
        num_frames: Number of frames.

    Returns:
        Positions and velocities `[num_frames, D, N, S]`, one frame after every `num_steps` steps.
    """
    with tf.device("CPU:0"):
        values = (positions, velocities, couplings, max_force, half_width, time_step)
        inputs = [tf.constant(value, tf.float64) for value in values]
        frames = []
        for _ in range(num_frames):
            inputs[:2] = _advance(*inputs, tf.constant(num_steps))
            frames.append([state.numpy() for state in inputs[:2]])
    return np.stack([frame[0] for frame in frames]), np.stack([frame[1] for frame in frames])


@tf.function(jit_compile=True)
def _advance(
    positions: tf.Tensor,
    velocities: tf.Tensor,
    couplings: tf.Tensor,
    max_force: tf.Tensor,
    half_width: tf.Tensor,
    time_step: tf.Tensor,
    num_steps: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    def step(count: tf.Tensor, positions: tf.Tensor, velocities: tf.Tensor) -> tuple[tf.Tensor, ...]:
        displacement, squared = pairs(positions)
        force = -tf.reduce_sum(couplings / (squared * tf.sqrt(squared)) * displacement, axis=2)
        velocities += time_step * tf.clip_by_value(force, -max_force, max_force)
        positions += time_step * velocities
        velocities = tf.where(positions > half_width, -tf.abs(velocities), velocities)
        velocities = tf.where(positions < -half_width, tf.abs(velocities), velocities)
        return count + 1, 2 * tf.clip_by_value(positions, -half_width, half_width) - positions, velocities

    _, positions, velocities = tf.while_loop(lambda count, *_: count < num_steps, step, (0, positions, velocities))
    return positions, velocities
