"""The forces of a simulated dataset, read from its manifest."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.laws.known_law import known_law
from pipelines.manifest import Manifest
from pipelines.nbody.known_forces import known_nbody_forces

Array = npt.NDArray[np.float64]
Edges = npt.NDArray[np.integer]


class KnownForces(Protocol):
    """The equations of motion of a dataset; lengths and times are in its units."""

    def masses(self, features: Array) -> Array:
        """Masses `[N]`, from the features `[N, F]`."""

    def potential_energy(self, positions: Array, features: Array, edges: Edges | None) -> Array:
        """Energies `[K]` of positions `[K, N, D]` of one system with bonds of the types `edges` `[N, N]`."""

    def continue_from(
        self,
        frames: Array,
        features: Array,
        mask: npt.NDArray[np.bool_],
        edges: Edges | None,
        *,
        interval: float,
        num_frames: int,
        velocities: Array | None = None,
    ) -> Array:
        """Integrate S systems from two frames `[S, 2, N, D]`; see `pipelines.nbody.two_frames.continue_from`.

        Args:
            frames: The last two observed frames, unwrapped.
            features: `[S, N, F]`.
            mask: Whether a particle is real `[S, N]`.
            edges: Types of the bonds `[S, N, N]`, 0 for none; None if the dataset has no bonds.
            interval: Time between frames.
            num_frames: T'.
            velocities: Those at the last frame `[S, N, D]`, if they were observed; the first frame is then not used.

        Returns:
            Positions `[S, T', N, D]`; a system whose numbers overflow stays at its last frame.
        """

    def cost_of_frame(self, interval: float) -> float:
        """Time that a frame of a pair takes to integrate, relative to one of N-body data."""


def known_forces(manifest: Manifest) -> KnownForces | None:
    """Find the forces of a dataset.

    Args:
        manifest: Its manifest. The forces are known if a command of this package simulated the data, and the
            provenance has the configuration.

    Returns:
        The forces, or None if they are not known.
    """
    return known_nbody_forces(manifest) or known_law(manifest)
