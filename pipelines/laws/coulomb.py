"""Charges in open space, U = sum over pairs of k q_i q_j / r, with clipped forces."""

from collections.abc import Callable

import numpy as np

from pipelines.laws.config import CoulombConfig
from pipelines.laws.systems import Array, Systems, displacements, one_system


def draw(rng: np.random.Generator, config: CoulombConfig) -> Systems:
    """Draw one system, see `CoulombConfig`."""
    shape = (1, config.num_particles, config.num_dimensions)
    positions = rng.normal(0.0, config.position_spread, shape)
    velocities = rng.normal(size=shape)
    velocities *= config.speed / np.linalg.norm(velocities, axis=-1, keepdims=True)
    charges = rng.choice([-1.0, 1.0], shape[:2])
    return one_system(positions, velocities, charges=charges)


def accelerations(config: CoulombConfig, systems: Systems) -> Callable[[Array], Array]:
    """a_i = clip(-sum over j of k q_i q_j d / r^3), d = r_j - r_i, by component."""
    couplings = _couplings(config, systems)

    def function(positions: Array) -> Array:
        displacement = displacements(positions)
        cubes = np.sum(displacement**2, axis=-1) ** 1.5
        weights = np.divide(couplings, cubes, out=np.zeros_like(cubes), where=cubes > 0)
        force = -np.einsum("sij,sijd->sid", weights, displacement)
        return np.clip(force, -config.max_force, config.max_force)

    return function


def potential_energy(config: CoulombConfig, systems: Systems) -> Array:
    """U `[S]`."""
    distance = np.sqrt(np.sum(displacements(systems.positions) ** 2, axis=-1))
    terms = np.divide(_couplings(config, systems), distance, out=np.zeros_like(distance), where=distance > 0)
    energy: Array = np.sum(terms, axis=(1, 2)) / 2
    return energy


def box(config: CoulombConfig) -> None:
    """There is none."""


def _couplings(config: CoulombConfig, systems: Systems) -> Array:
    """Couplings k q_i q_j `[S, N, N]`."""
    return config.coulomb_constant * systems.charges[:, :, None] * systems.charges[:, None, :]
