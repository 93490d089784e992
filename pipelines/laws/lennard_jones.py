"""A Lennard-Jones liquid in a periodic box: U = sum over pairs of 4 (r^-12 - r^-6) S(r)."""

from collections.abc import Callable

import numpy as np

from pipelines.laws.config import LennardJonesConfig
from pipelines.laws.systems import Array, Systems, displacements, one_system

_FAR = 1e6


def draw(rng: np.random.Generator, config: LennardJonesConfig) -> Systems:
    """One system on a lattice, a little disturbed, with velocities of `initial_temperature` and no net momentum."""
    per_side = int(np.ceil(config.num_particles ** (1 / config.num_dimensions) - 1e-9))
    sites = np.stack(np.meshgrid(*[np.arange(per_side)] * config.num_dimensions), axis=-1)
    chosen = sites.reshape(-1, config.num_dimensions)[: config.num_particles]
    spacing = config.box_side / per_side
    positions = (chosen + 0.5 + rng.uniform(-0.05, 0.05, chosen.shape)) * spacing
    velocities = rng.normal(0.0, np.sqrt(config.initial_temperature), chosen.shape)
    velocities -= velocities.mean(axis=0)
    return one_system(positions[None], velocities[None])


def accelerations(config: LennardJonesConfig, systems: Systems) -> Callable[[Array], Array]:
    """a_i = sum over j of u'(r) (r_j - r_i) / r, with u the switched pair potential, to the nearest image of j."""

    def function(positions: Array) -> Array:
        displacement, squared = _nearest_images(config, positions)
        system, i, j = np.nonzero(squared < config.cutoff**2)
        near = displacement[system, i, j]
        distance = np.sqrt(squared[system, i, j])
        pull = (pair_potential(config, distance)[1] / distance)[:, None] * near
        place = system * positions.shape[1] + i
        num_places = positions.shape[0] * positions.shape[1]
        sums = np.empty((num_places, positions.shape[-1]))
        for axis in range(positions.shape[-1]):
            sums[:, axis] = np.bincount(place, pull[:, axis], num_places)
        return sums.reshape(positions.shape)

    return function


def potential_energy(config: LennardJonesConfig, systems: Systems) -> Array:
    """U `[S]`."""
    _, squared = _nearest_images(config, systems.positions)
    pairs = pair_potential(config, np.minimum(np.sqrt(squared), config.cutoff))[0]
    energy: Array = np.sum(pairs, axis=(1, 2)) / 2
    return energy


def box(config: LennardJonesConfig) -> Array:
    """Edge lengths `[D]`."""
    return np.full(config.num_dimensions, config.box_side)


def _nearest_images(config: LennardJonesConfig, positions: Array) -> tuple[Array, Array]:
    """Displacements `[S, N, N, D]` to nearest images and their squared lengths `[S, N, N]`, large for i = j."""
    displacement = displacements(positions)
    displacement -= config.box_side * np.round(displacement / config.box_side)
    squared = np.sum(displacement**2, axis=-1)
    return displacement, squared + np.where(np.eye(positions.shape[1], dtype=bool), _FAR, 0.0)


def pair_potential(config: LennardJonesConfig, distance: Array) -> tuple[Array, Array]:
    """u(r) and u'(r), with S = 1 - 10 z^3 + 15 z^4 - 6 z^5, z = (r - switch) / (cutoff - switch) from 0 to 1."""
    sixth = distance**-6
    energy, slope = 4 * (sixth**2 - sixth), -24 * (2 * sixth**2 - sixth) / distance
    width = config.cutoff - config.switch
    z = np.clip((distance - config.switch) / width, 0.0, 1.0)
    factor = 1 - z**3 * (10 - 15 * z + 6 * z**2)
    factor_slope = -30 * z**2 * (1 - z) ** 2 / width
    return energy * factor, slope * factor + energy * factor_slope
