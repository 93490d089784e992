"""The forces of an N-body dataset, read from its manifest."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from pipelines.manifest import Manifest
from pipelines.nbody.forces import Array, couplings
from pipelines.nbody.two_frames import continue_from


@dataclasses.dataclass(frozen=True)
class NBodyForces:
    """The forces of our N-body datasets, U = sum over pairs of (k q_i q_j - G m_i m_j) / r, in open space.

    The methods are those of `pipelines.known_forces.KnownForces`.
    """

    coulomb_constant: float
    """k."""
    gravitational_constant: float
    """G."""
    mass: int
    """Column of the mass among the features."""
    charge: int
    """Column of the charge among the features."""

    @property
    def constants(self) -> dict[str, float]:
        """The constants, as keyword arguments for the functions of `pipelines.nbody.forces`."""
        return {
            "coulomb_constant": self.coulomb_constant,
            "gravitational_constant": self.gravitational_constant,
        }

    def masses(self, features: Array) -> Array:
        """Masses `[N]`."""
        return features[..., self.mass]

    def potential_energy(self, positions: Array, features: Array, edges: object = None) -> Array:
        """Energies `[K]`."""
        first, second = np.triu_indices(positions.shape[1], k=1)
        strengths = couplings(self.masses(features), features[:, self.charge], **self.constants)[first, second]
        distances = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
        energies: Array = (strengths / distances).sum(axis=-1)
        return energies

    def continue_from(
        self,
        frames: Array,
        features: Array,
        mask: npt.NDArray[np.bool_],
        edges: object = None,
        *,
        interval: float,
        num_frames: int,
        velocities: Array | None = None,
    ) -> Array:
        """Positions `[S, T', N, D]`."""
        masses, charges = self.masses(features), features[..., self.charge]
        return continue_from(
            frames,
            masses,
            charges,
            mask,
            self.constants,
            interval=interval,
            num_frames=num_frames,
            velocities=velocities,
        )

    def cost_of_frame(self, interval: float) -> float:
        """The unit of cost."""
        return 1.0


def known_nbody_forces(manifest: Manifest) -> NBodyForces | None:
    """Read the forces of an N-body dataset from its provenance.

    They are known if a command of this package wrote the manifest (`simulate`, or `train` without data): the command is
    recorded, `provenance.config` has the constants, and the features include `mass` and `charge`.

    Args:
        manifest: The manifest of the dataset.

    Returns:
        The forces, or None if they are not known.
    """
    config = manifest.provenance.get("config")
    if "socialmd_tf." not in str(manifest.provenance.get("command")) or not isinstance(config, dict):
        return None
    names = ("coulomb_constant", "gravitational_constant")
    values: list[float] = [config[name] for name in names if type(config.get(name)) in (int, float)]
    if len(values) < len(names) or not all(map(math.isfinite, values)):
        return None
    if not {"mass", "charge"} <= set(manifest.particle_features):
        return None
    coulomb_constant, gravitational_constant = values
    return NBodyForces(
        coulomb_constant,
        gravitational_constant,
        manifest.particle_features.index("mass"),
        manifest.particle_features.index("charge"),
    )
