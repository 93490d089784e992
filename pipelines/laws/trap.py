"""Soft disks in a harmonic trap: U = sum over pairs of epsilon (1 - r / d)^2 / 2, r < d, plus k |x|^2 / 2 each."""

from collections.abc import Callable

import numpy as np

from pipelines.laws.config import TrapConfig
from pipelines.laws.systems import Array, Systems, displacements, one_system


def draw(rng: np.random.Generator, config: TrapConfig) -> Systems:
    """Draw one system, see `TrapConfig`."""
    shape = (1, config.num_particles, config.num_dimensions)
    positions = rng.normal(0.0, config.position_spread, shape)
    return one_system(positions, rng.normal(0.0, config.speed, shape))


def accelerations(config: TrapConfig, systems: Systems) -> Callable[[Array], Array]:
    """a_i = -k x_i - sum over j of epsilon / d (1 - r / d) (r_j - r_i) / r, r < d."""

    def function(positions: Array) -> Array:
        displacement = displacements(positions)
        distance = _distances(displacement)
        strength = config.stiffness / config.diameter * np.maximum(0.0, 1 - distance / config.diameter) / distance
        result: Array = -config.trap_constant * positions - np.einsum("sij,sijd->sid", strength, displacement)
        return result

    return function


def potential_energy(config: TrapConfig, systems: Systems) -> Array:
    """U `[S]`."""
    overlap = np.maximum(0.0, 1 - _distances(displacements(systems.positions)) / config.diameter)
    trap = config.trap_constant * np.sum(systems.positions**2, axis=(1, 2)) / 2
    energy: Array = config.stiffness * np.sum(overlap**2, axis=(1, 2)) / 4 + trap
    return energy


def box(config: TrapConfig) -> None:
    """There is none."""


def _distances(displacement: Array) -> Array:
    """`[S, N, N]`, infinite for i = j."""
    diagonal = np.where(np.eye(displacement.shape[1], dtype=bool), np.inf, 0.0)
    distances: Array = np.sqrt(np.sum(displacement**2, axis=-1)) + diagonal
    # Infinity would make 0 / r * inf; any distance beyond the diameter means no force.
    return np.minimum(distances, 1e6)
