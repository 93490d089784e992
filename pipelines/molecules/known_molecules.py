"""The molecules that the particles of a dataset represent, from its manifest."""

import dataclasses
import math
from typing import Any

import numpy.typing as npt

from pipelines.manifest import Manifest
from pipelines.molecules.config import DEFAULT_RADIUS

_WATER_RADIUS = 0.14
_LENGTH_IN_NM = {"nm": 1.0, "angstrom": 0.1}


@dataclasses.dataclass(frozen=True)
class KnownMolecules:
    """The molecules of a dataset made by `prepare`: the first features are names."""

    names: tuple[str, ...]
    """Their names, in the order of the features."""
    radii: tuple[float, ...]
    """Radius of the sphere that represents a molecule, per name, in the length unit."""
    probe: float
    """Radius of a solvent molecule, 0.14 nm, in the length unit."""
    is_centered: bool = True
    """Whether positions are relative to a centre."""
    has_surface: bool = True
    """Whether the molecules together have a surface. A bulk liquid, which fills a periodic box, has none."""


def known_molecules(manifest: Manifest) -> KnownMolecules | None:
    """Find the molecules of a dataset.

    Args:
        manifest: Its manifest. It holds the molecules if `prepare` wrote it: the command is recorded, and the features
            are the names, and then perhaps attributes, anchors and velocities.

    Returns:
        The molecules; None for other datasets.
    """
    config = manifest.provenance.get("config")
    if "socialmd_tf.prepare" not in str(manifest.provenance.get("command")) or not isinstance(config, dict):
        return None
    unit = _LENGTH_IN_NM.get(manifest.length_unit)
    names = tuple(map(str, config.get("molecules") or ()))
    count = len(names)
    if unit is None or not names or not names == manifest.own_features[:count] == manifest.features[:count]:
        return None
    radii = config.get("radii") or [DEFAULT_RADIUS / unit]
    radii = radii * len(names) if len(radii) == 1 else radii
    if len(radii) != len(names) or not all(0 < radius < math.inf for radius in radii):
        return None
    is_centered = config.get("center_on") != "nothing"
    has_surface = is_centered or not manifest.is_periodic
    return KnownMolecules(names, tuple(map(float, radii)), _WATER_RADIUS / unit, is_centered, has_surface)


def particle_names(manifest: Manifest, features: npt.NDArray[Any]) -> tuple[str, ...] | None:
    """The name of the molecule that each particle represents.

    Args:
        manifest: The manifest of the dataset.
        features: `[N, F]`, the columns after the positions.

    Returns:
        `[N]` names; None for datasets that `prepare` did not make.
    """
    known = known_molecules(manifest)
    if known is None:
        return None
    return tuple(known.names[kind] for kind in features[:, : len(known.names)].argmax(axis=1))
