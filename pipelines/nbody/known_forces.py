"""What a data set's manifest says of the forces that made it."""

import dataclasses
import math

from pipelines.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class KnownForces:
    """The law of an N-body data set of ours, U = sum over pairs of (k q_i q_j - G m_i m_j) / r."""

    coulomb_constant: float
    """k."""
    gravitational_constant: float
    """G."""
    mass: int
    """Index of the feature that is the mass."""
    charge: int
    """Index of the feature that is the charge."""

    @property
    def constants(self) -> dict[str, float]:
        """The constants as keyword arguments of the functions of `pipelines.nbody.forces`."""
        return {
            "coulomb_constant": self.coulomb_constant,
            "gravitational_constant": self.gravitational_constant,
        }


def known_forces(manifest: Manifest) -> KnownForces | None:
    """The forces of a data set, or None if its provenance does not tell them.

    They are known where `simulate` wrote the manifest: the command is recorded, the constants are under
    `provenance.config`, and the features hold `mass` and `charge`.
    """
    config = manifest.provenance.get("config")
    if "socialmd_tf.simulate" not in str(manifest.provenance.get("command")) or not isinstance(config, dict):
        return None
    names = ("coulomb_constant", "gravitational_constant")
    values: list[float] = [config[name] for name in names if type(config.get(name)) in (int, float)]
    if len(values) < len(names) or not all(map(math.isfinite, values)):
        return None
    if not {"mass", "charge"} <= set(manifest.features):
        return None
    coulomb_constant, gravitational_constant = values
    return KnownForces(
        coulomb_constant,
        gravitational_constant,
        manifest.features.index("mass"),
        manifest.features.index("charge"),
    )
