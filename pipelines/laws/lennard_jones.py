"""A Lennard-Jones liquid in a periodic box: U = sum over pairs of 4 (r^-12 - r^-6) S(r)."""

from collections.abc import Callable

import numpy as np

from pipelines.laws.config import LennardJonesConfig
from pipelines.laws.near_pairs import NearPairs
from pipelines.laws.systems import Array, Systems, one_system


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
    near_pairs = NearPairs(config.box_side, config.cutoff)

    def function(positions: Array) -> Array:
        i, _, apart, squared = near_pairs(positions)
        distance = np.sqrt(squared)
        pull = (pair_potential(config, distance)[1] / distance)[:, None] * apart
        num_places = positions.shape[0] * positions.shape[1]
        sums = np.empty((num_places, positions.shape[-1]))
        for axis in range(positions.shape[-1]):
            sums[:, axis] = np.bincount(i, pull[:, axis], num_places)
        return sums.reshape(positions.shape)

    return function


def potential_energy(config: LennardJonesConfig, systems: Systems) -> Array:
    """U `[S]`."""
    count, num_particles = systems.positions.shape[:2]
    i, _, _, squared = NearPairs(config.box_side, config.cutoff)(systems.positions)
    pairs = pair_potential(config, np.sqrt(squared))[0]
    energy: Array = np.bincount(i // num_particles, pairs, count) / 2
    return energy


def box(config: LennardJonesConfig) -> Array:
    """Edge lengths `[D]`."""
    return np.full(config.num_dimensions, config.box_side)


def pair_potential(config: LennardJonesConfig, distance: Array) -> tuple[Array, Array]:
    """u(r) and u'(r), with S = 1 - 10 z^3 + 15 z^4 - 6 z^5, z = (r - switch) / (cutoff - switch) from 0 to 1."""
    sixth = distance**-6
    energy, slope = 4 * (sixth**2 - sixth), -24 * (2 * sixth**2 - sixth) / distance
    width = config.cutoff - config.switch
    z = np.clip((distance - config.switch) / width, 0.0, 1.0)
    factor = 1 - z**3 * (10 - 15 * z + 6 * z**2)
    factor_slope = -30 * z**2 * (1 - z) ** 2 / width
    return energy * factor, slope * factor + energy * factor_slope
