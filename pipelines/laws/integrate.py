"""Integration of many systems at a time: velocity Verlet, and BAOAB where there is friction."""

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.laws.systems import Array


def advance(
    positions: Array,
    velocities: Array,
    accelerations: Callable[[Array], Array],
    *,
    time_step: float,
    num_steps: int,
    friction: float = 0.0,
    temperature: float = 0.0,
    generators: Sequence[np.random.Generator] = (),
) -> tuple[Array, Array]:
    """Integrate S systems of unit masses by BAOAB steps (Leimkuhler and Matthews 2013).

    Half a kick, half a drift, v <- e^(-gamma h) v + (T (1 - e^(-2 gamma h)))^(1/2) xi, half a drift, half a kick.
    Without friction this is velocity Verlet, which keeps the energy; without temperature it is deterministic.

    Args:
        positions: `[S, N, D]`.
        velocities: `[S, N, D]`.
        accelerations: Positions -> accelerations, each `[S, N, D]`.
        time_step: h.
        num_steps: Steps to make.
        friction: gamma.
        temperature: T, in units in which a mass and Boltzmann's constant are 1.
        generators: Sources of the random numbers, one per system; used where T is positive.

    Returns:
        Positions and velocities `[S, N, D]` after the last step.
    """
    decay = np.exp(-friction * time_step)
    spread = np.sqrt(temperature * (1 - decay**2))
    kick = time_step / 2 * accelerations(positions)
    for _ in range(num_steps):
        velocities = velocities + kick
        positions = positions + time_step / 2 * velocities
        velocities = decay * velocities
        if spread:
            velocities = velocities + spread * np.stack([rng.normal(size=velocities.shape[1:]) for rng in generators])
        positions = positions + time_step / 2 * velocities
        kick = time_step / 2 * accelerations(positions)
        velocities = velocities + kick
    return positions, velocities
