"""Velocity Verlet (thesis section 4.2): a readable definition and a fast version for many systems."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.nbody.forces import Array


def velocity_verlet(
    positions: Array,
    velocities: Array,
    acceleration: Callable[[Array], Array],
    time_step: float,
    num_steps: int,
) -> tuple[Array, Array]:
    """Integrate one system; each step is half a kick, a drift and half a kick.

    Args:
        positions: `[N, D]`.
        velocities: `[N, D]`.
        acceleration: Positions `[N, D]` -> accelerations `[N, D]`; called once per step and once before.
        time_step: Time of one step; the error after a fixed time is of second order in it.
        num_steps: Number of steps.

    Returns:
        Positions and velocities `[N, D]` after the last step.
    """
    accelerations = acceleration(positions)
    for _ in range(num_steps):
        velocities = velocities + time_step / 2 * accelerations
        positions = positions + time_step * velocities
        accelerations = acceleration(positions)
        velocities = velocities + time_step / 2 * accelerations
    return positions, velocities


class State(NamedTuple):
    """The state of S systems; the system axis is last, so that the arithmetic is vectorized over systems."""

    positions: Array
    """`[D, N, S]`."""
    velocities: Array
    """`[D, N, S]`."""
    energy: Array
    """Kinetic plus potential energy, `[S]`."""
    closest_approach: Array
    """Smallest distance between two particles in this state, `[S]`."""


def advance(
    positions: Array, velocities: Array, masses: Array, couplings: Array, time_step: float, num_steps: int
) -> State:
    """Integrate S systems by velocity Verlet under U = sum over pairs of g_ij / r_ij.

    XLA compiles once per shape. The CPU is always used, so that the same seed gives the same bytes with and without
    a GPU. Systems do not affect each other: NaN in one leaves the others unchanged, and the result of a system does
    not depend on its place among the S.

    Args:
        positions: `[D, N, S]`.
        velocities: `[D, N, S]`.
        masses: `[N, S]`.
        couplings: g `[N, N, S]`, see `pipelines.nbody.forces.couplings`.
        time_step: Time of one step.
        num_steps: Number of steps, with one force evaluation each and one before.

    Returns:
        The state after the last step.
    """
    with tf.device("CPU:0"):
        inputs = [tf.constant(x, tf.float64) for x in (positions, velocities, masses, couplings, time_step)]
        return State(*(np.array(x) for x in _advance(*inputs, tf.constant(num_steps))))


@tf.function(jit_compile=True)
def _advance(
    positions: tf.Tensor,
    velocities: tf.Tensor,
    masses: tf.Tensor,
    couplings: tf.Tensor,
    time_step: tf.Tensor,
    num_steps: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    weights = -couplings / masses[:, None]

    def accelerations_at(positions: tf.Tensor) -> tf.Tensor:
        displacement, squared = pairs(positions)
        return tf.reduce_sum(weights / (squared * tf.sqrt(squared)) * displacement, axis=2)

    def step(
        count: tf.Tensor, positions: tf.Tensor, velocities: tf.Tensor, accelerations: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        velocities += time_step / 2 * accelerations
        positions += time_step * velocities
        accelerations = accelerations_at(positions)
        return count + 1, positions, velocities + time_step / 2 * accelerations, accelerations

    _, positions, velocities, _ = tf.while_loop(
        lambda count, *_: count < num_steps, step, (0, positions, velocities, accelerations_at(positions))
    )
    return positions, velocities, *_observe(positions, velocities, masses, couplings)


def pairs(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute displacements r_j - r_i `[D, N, N, S]` and squared distances `[N, N, S]`, infinite for i = j."""
    displacement = positions[:, None] - positions[:, :, None]
    diagonal = np.where(np.eye(positions.shape[1], dtype=bool), np.inf, 0.0)
    return displacement, tf.reduce_sum(displacement**2, axis=0) + diagonal[:, :, None]


def _observe(
    positions: tf.Tensor, velocities: tf.Tensor, masses: tf.Tensor, couplings: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Energies and closest approaches `[S]`."""
    distances = tf.sqrt(pairs(positions)[1])
    doubled = tf.reduce_sum(masses * tf.reduce_sum(velocities**2, axis=0), axis=0)
    doubled += tf.reduce_sum(couplings / distances, axis=(0, 1))
    return doubled / 2, tf.reduce_min(distances, axis=(0, 1))
