"""Random initial states of the N-body system; the thesis states no distributions, these are ours."""

from typing import NamedTuple

import numpy as np

from pipelines.errors import UserError
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import Array

SPLITS = ("train", "validation", "test")
_TRIES_PER_PARTICLE = 1000


class InitialState(NamedTuple):
    """The state of one system before its first step, float64."""

    positions: Array
    """`[N, D]`."""
    velocities: Array
    """`[N, D]`."""
    masses: Array
    """`[N]`."""
    charges: Array
    """`[N]`."""


def generator(seed: int, split: str, index: int, attempt: int) -> np.random.Generator:
    """Make the random number generator of one draw, which depends on the arguments only.

    Args:
        seed: Seed of the dataset.
        split: `train`, `validation` or `test`.
        index: Index of the simulation in its split.
        attempt: Number of earlier draws of this simulation.

    Returns:
        A generator that is independent of those of other draws.
    """
    key = (SPLITS.index(split), index, attempt)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw(rng: np.random.Generator, config: SimulationConfig) -> InitialState:
    """Draw one system.

    Positions are uniform in a disc (ball) of `config.radius`, at least `config.min_distance` apart; masses
    log-uniform in [1, 4]; charges +-U(0.5, 1.5); velocity components N(0, `config.speed`^2). The centre of mass is
    at rest at the origin.

    Args:
        rng: Source of random numbers.
        config: The system.

    Returns:
        Positions and velocities `[N, D]`, masses and charges `[N]`.

    Raises:
        UserError: The particles do not fit into the disc (ball).
    """
    masses = np.exp(rng.uniform(0.0, np.log(4.0), config.num_particles))
    charges = rng.choice([-1.0, 1.0], config.num_particles) * rng.uniform(0.5, 1.5, config.num_particles)
    positions = _draw_positions(rng, config)
    velocities = rng.normal(0.0, config.speed, positions.shape)
    return InitialState(_centred(positions, masses), _centred(velocities, masses), masses, charges)


def _draw_positions(rng: np.random.Generator, config: SimulationConfig) -> Array:
    """Place particles one by one; each is drawn again until it is far enough from the others."""
    placed = np.empty((0, config.num_dimensions))
    for _ in range(_TRIES_PER_PARTICLE * config.num_particles):
        candidate = _draw_in_ball(rng, config.radius, config.num_dimensions)
        if np.all(np.linalg.norm(placed - candidate, axis=1) >= config.min_distance):
            placed = np.vstack([placed, candidate])
        if len(placed) == config.num_particles:
            return placed
    raise UserError(
        f"`radius` must leave room for {config.num_particles} particles at least `min_distance` = "
        f"{config.min_distance} apart; only {len(placed)} could be placed. Received: {config.radius}"
    )


def _draw_in_ball(rng: np.random.Generator, radius: float, num_dimensions: int) -> Array:
    direction = rng.normal(size=num_dimensions)
    return radius * rng.uniform() ** (1 / num_dimensions) * direction / np.linalg.norm(direction)


def _centred(vectors: Array, masses: Array) -> Array:
    return vectors - np.average(vectors, axis=0, weights=masses)
