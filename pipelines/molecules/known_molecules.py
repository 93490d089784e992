"""What a data set's manifest says of the molecules that its particles stand for."""

import dataclasses
import math

from pipelines.manifest import Manifest
from pipelines.molecules.config import DEFAULT_RADIUS

_WATER_RADIUS = 0.14
_LENGTH_IN_NM = {"nm": 1.0, "angstrom": 0.1}


@dataclasses.dataclass(frozen=True)
class KnownMolecules:
    """The molecules of a data set that `prepare` made: positions are relative to the centre, features their names."""

    names: tuple[str, ...]
    """Their names, in the order of the features."""
    radii: tuple[float, ...]
    """Radius of the sphere that stands for a molecule of each name, in the unit of length."""
    probe: float
    """Radius of the solvent's molecules, 0.14 nm, in the unit of length."""


def known_molecules(manifest: Manifest) -> KnownMolecules | None:
    """The molecules of a data set, or None if it is not one of molecules.

    They are known where `prepare` wrote the manifest: the command is recorded, and the names are the features.
    """
    config = manifest.provenance.get("config")
    if "socialmd_tf.prepare" not in str(manifest.provenance.get("command")) or not isinstance(config, dict):
        return None
    unit = _LENGTH_IN_NM.get(manifest.length_unit)
    if unit is None or config.get("molecules") != list(manifest.features):
        return None
    radii = config.get("radii") or [DEFAULT_RADIUS / unit]
    radii = radii * len(manifest.features) if len(radii) == 1 else radii
    if len(radii) != len(manifest.features) or not all(0 < radius < math.inf for radius in radii):
        return None
    return KnownMolecules(manifest.features, tuple(map(float, radii)), _WATER_RADIUS / unit)
