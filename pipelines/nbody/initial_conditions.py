"""Random initial states of the N-body system; the distributions are ours, the thesis states none."""

from typing import NamedTuple

import numpy as np

from pipelines.errors import UserError
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import Array

SPLITS = ("train", "validation", "test")
_TRIES_PER_PARTICLE = 1000


class InitialState(NamedTuple):
    """One system before its first step, float64."""

    positions: Array
    """`[N, D]`."""
    velocities: Array
    """`[N, D]`."""
    masses: Array
    """`[N]`."""
    charges: Array
    """`[N]`."""


def generator(seed: int, split: str, index: int, attempt: int) -> np.random.Generator:
    """The random numbers of one draw, a pure function of the arguments.

    Args:
        seed: Seed of the dataset.
        split: `train`, `validation` or `test`.
        index: The simulation within its split.
        attempt: Draws of this simulation made before.

    Returns:
        A generator independent of that of every other draw.
    """
    key = (SPLITS.index(split), index, attempt)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw(rng: np.random.Generator, config: SimulationConfig) -> InitialState:
    """Draw one system.

    Positions are uniform in a disc (ball) of `config.radius`, at least `config.min_distance` apart; masses
    log-uniform in [1, 4]; charges +-U(0.5, 1.5); velocity components N(0, `config.speed`^2). Then the centre
    of mass is put at rest at the origin.

    Args:
        rng: Where the randomness comes from.
        config: The system.

    Returns:
        Positions and velocities `[N, D]`, masses and charges `[N]`.

    Raises:
        UserError: The particles don't fit into the disc (ball).
    """
    masses = np.exp(rng.uniform(0.0, np.log(4.0), config.num_particles))
    charges = rng.choice([-1.0, 1.0], config.num_particles) * rng.uniform(0.5, 1.5, config.num_particles)
    positions = _draw_positions(rng, config)
    velocities = rng.normal(0.0, config.speed, positions.shape)
    return InitialState(_centred(positions, masses), _centred(velocities, masses), masses, charges)


def _draw_positions(rng: np.random.Generator, config: SimulationConfig) -> Array:
    """One particle after the other, each drawn again until it is far enough from those before it."""
    placed = np.empty((0, config.num_dimensions))
    for _ in range(_TRIES_PER_PARTICLE * config.num_particles):
        candidate = _draw_in_ball(rng, config.radius, config.num_dimensions)
        if np.all(np.linalg.norm(placed - candidate, axis=1) >= config.min_distance):
            placed = np.vstack([placed, candidate])
        if len(placed) == config.num_particles:
            return placed
    raise UserError(
        f"`radius` must leave room for {config.num_particles} particles at least `min_distance` = "
        f"{config.min_distance} apart; {len(placed)} found a place. Received: {config.radius}"
    )


def _draw_in_ball(rng: np.random.Generator, radius: float, num_dimensions: int) -> Array:
    direction = rng.normal(size=num_dimensions)
    return radius * rng.uniform() ** (1 / num_dimensions) * direction / np.linalg.norm(direction)


def _centred(vectors: Array, masses: Array) -> Array:
    return vectors - np.average(vectors, axis=0, weights=masses)
