"""Systems of a law at one time, and what a law is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Systems(NamedTuple):
    """S systems of N particles of mass 1, float64."""

    positions: Array
    """`[S, N, D]`, unwrapped."""
    velocities: Array
    """`[S, N, D]`."""
    edges: npt.NDArray[np.integer[Any]]
    """Type of the bond between two particles `[S, N, N]`, symmetric; 0 for none."""
    charges: Array
    """`[S, N]`; 0 where the law has none."""


class Law(Protocol):
    """A module that defines a law."""

    def draw(self, rng: np.random.Generator, config: Any) -> Systems:
        """Draw one system (S = 1)."""

    def accelerations(self, config: Any, systems: Systems) -> Callable[[Array], Array]:
        """The function from positions to accelerations, each `[S, N, D]`, of systems with these bonds and charges."""

    def potential_energy(self, config: Any, systems: Systems) -> Array:
        """Energies `[S]`."""

    def box(self, config: Any) -> Array | None:
        """Edge lengths `[D]` of the periodic box, or None."""


def one_system(positions: Array, velocities: Array, **known: npt.NDArray[Any]) -> Systems:
    """A system with positions and velocities `[1, N, D]`, without bonds and charges unless they are given."""
    num_particles = positions.shape[1]
    edges = known.get("edges", np.zeros((1, num_particles, num_particles), np.int8))
    return Systems(positions, velocities, edges, known.get("charges", np.zeros((1, num_particles))))


def displacements(positions: Array) -> Array:
    """r_j - r_i `[S, N, N, D]` of positions `[S, N, D]`."""
    return positions[:, None] - positions[:, :, None]


def kinetic_energy(velocities: Array) -> Array:
    """Sum over particles of |v|^2 / 2, `[S]`, of velocities `[S, N, D]`."""
    energy: Array = np.sum(velocities**2, axis=(-2, -1)) / 2
    return energy


def joined(parts: Sequence[Systems]) -> Systems:
    """Systems one after the other."""
    return Systems(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
