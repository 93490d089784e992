"""Springs of rest length 0 on a random graph: U = sum over edges of k r^2 / 2."""

from collections.abc import Callable

import numpy as np

from pipelines.laws.config import SpringsConfig
from pipelines.laws.systems import Array, Systems, displacements, one_system


def draw(rng: np.random.Generator, config: SpringsConfig) -> Systems:
    """Draw one system, see `SpringsConfig`."""
    shape = (1, config.num_particles, config.num_dimensions)
    positions = rng.normal(0.0, config.position_spread, shape)
    velocities = rng.normal(size=shape)
    velocities *= config.speed / np.linalg.norm(velocities, axis=-1, keepdims=True)
    upper = np.triu(rng.random((config.num_particles, config.num_particles)) < config.edge_probability, 1)
    return one_system(positions, velocities, edges=(upper | upper.T).astype(np.int64)[None])


def accelerations(config: SpringsConfig, systems: Systems) -> Callable[[Array], Array]:
    """a_i = k sum over edges (i, j) of (r_j - r_i), as k (A - diag(degree)) x."""
    joined = (systems.edges > 0).astype(np.float64)
    matrix = config.spring_constant * (joined - np.eye(joined.shape[-1]) * joined.sum(axis=-1, keepdims=True))

    def function(positions: Array) -> Array:
        result: Array = matrix @ positions
        return result

    return function


def potential_energy(config: SpringsConfig, systems: Systems) -> Array:
    """U `[S]`."""
    squared = np.sum(displacements(systems.positions) ** 2, axis=-1)
    energy: Array = config.spring_constant * np.sum(np.where(systems.edges > 0, squared, 0.0), axis=(1, 2)) / 4
    return energy


def box(config: SpringsConfig) -> None:
    """There is none."""
