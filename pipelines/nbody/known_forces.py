"""The forces of a simulated dataset, read from its manifest."""

import dataclasses
import math

from pipelines.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class KnownForces:
    """The potential energy of our N-body datasets, U = sum over pairs of (k q_i q_j - G m_i m_j) / r."""

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


def known_forces(manifest: Manifest) -> KnownForces | None:
    """Read the forces of a dataset from its provenance.

    They are known if `simulate` wrote the manifest: the command is recorded, `provenance.config` has the constants,
    and the features include `mass` and `charge`.

    Args:
        manifest: The manifest of the dataset.

    Returns:
        The forces, or None if they are not known.
    """
    config = manifest.provenance.get("config")
    if "socialmd_tf.simulate" not in str(manifest.provenance.get("command")) or not isinstance(config, dict):
        return None
    names = ("coulomb_constant", "gravitational_constant")
    values: list[float] = [config[name] for name in names if type(config.get(name)) in (int, float)]
    if len(values) < len(names) or not all(map(math.isfinite, values)):
        return None
    if not {"mass", "charge"} <= set(manifest.particle_features):
        return None
    coulomb_constant, gravitational_constant = values
    return KnownForces(
        coulomb_constant,
        gravitational_constant,
        manifest.particle_features.index("mass"),
        manifest.particle_features.index("charge"),
    )
