"""Systems of a law at one time, and what a law is."""

from collections.abc import Callable
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
    edges: npt.NDArray[np.int64]
    """Type of the bond between two particles `[S, N, N]`, symmetric; 0 for none."""


class Law(Protocol):
    """A module that defines a law."""

    def draw(self, rng: np.random.Generator, config: Any) -> Systems:
        """Draw one system (S = 1)."""

    def accelerations(self, config: Any, edges: npt.NDArray[np.int64]) -> Callable[[Array], Array]:
        """The function from positions `[S, N, D]` to accelerations `[S, N, D]`."""

    def potential_energy(self, config: Any, systems: Systems) -> Array:
        """Energies `[S]`."""

    def box(self, config: Any) -> Array | None:
        """Edge lengths `[D]` of the periodic box, or None."""


def no_edges(num_particles: int) -> npt.NDArray[np.int64]:
    """`[1, N, N]` without a bond."""
    return np.zeros((1, num_particles, num_particles), np.int64)


def displacements(positions: Array) -> Array:
    """r_j - r_i `[S, N, N, D]` of positions `[S, N, D]`."""
    return positions[:, None] - positions[:, :, None]


def kinetic_energy(velocities: Array) -> Array:
    """Sum over particles of |v|^2 / 2, `[S]`, of velocities `[S, N, D]`."""
    energy: Array = np.sum(velocities**2, axis=(-2, -1)) / 2
    return energy
