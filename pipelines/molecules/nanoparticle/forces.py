"""The forces between the beads of a nanoparticle, as OpenMM takes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.molecules.nanoparticle.beads import BEAD_DIAMETER, BOND_LENGTH, LIGAND, Beads
from pipelines.molecules.nanoparticle.config import NanoparticleConfig

HYDROPHOBICITY = {LIGAND: 0.6, "OCQ": 0.6, "OCP": 0.6, "OCN": 0.6, "OQL": 1.3, "PAN": 0.0, "ONC": 0.0}
"""lambda of each molecule, 0 for hydrophilic ones."""
RELAXED_HYDROPHOBICITY = HYDROPHOBICITY | dict.fromkeys(("OQL", "PAN", "ONC"), 0.2)
"""lambda before drug and background become different."""
MASS = 72.0
"""Mass of a bead of four heavy atoms, in amu."""

_BOND_STIFFNESS = 5000.0  # kJ / mol / nm^2
_CORE_STIFFNESS = 1000.0  # kJ / mol / nm^2
_CUTOFF = 1.0  # nm; the attraction there is a fiftieth of its depth

# Ashbaugh and Hatch (2008): Lennard-Jones repulsion, attraction scaled by lambda. The constant inside the minimum makes
# the energy continuous.
ASHBAUGH_HATCH = (
    "lambda * lj + inside * (1 - lambda) * (lj + attraction); inside = step(diameter * 2^(1/6) - r);"
    "lj = 4 * attraction * ((diameter / r)^12 - (diameter / r)^6); lambda = (lambda1 + lambda2) / 2"
)


def forces(mm: Any, config: NanoparticleConfig, beads: Beads, hydrophobicity: Mapping[str, float]) -> tuple[Any, ...]:
    """Forces of the pairs of beads, of the springs along the strands, and of the repulsive core.

    Args:
        mm: The module `openmm`.
        config: `attraction` and the size of the core.
        beads: The nanoparticle. Gold is no part of the system.
        hydrophobicity: lambda of each molecule.

    Returns:
        Three forces of OpenMM.
    """
    moving = beads.moving
    return (
        _pairs(mm, config, beads, moving, hydrophobicity),
        _springs(mm, beads, moving),
        _core(mm, config, beads, moving),
    )


def _pairs(
    mm: Any,
    config: NanoparticleConfig,
    beads: Beads,
    moving: npt.NDArray[np.intp],
    hydrophobicity: Mapping[str, float],
) -> Any:
    force = mm.CustomNonbondedForce(ASHBAUGH_HATCH)
    force.addGlobalParameter("diameter", BEAD_DIAMETER)
    force.addGlobalParameter("attraction", config.attraction)
    force.addPerParticleParameter("lambda")
    force.setNonbondedMethod(mm.CustomNonbondedForce.CutoffNonPeriodic)
    force.setCutoffDistance(_CUTOFF)
    for bead in moving:
        force.addParticle([hydrophobicity[beads.molecules[bead]]])
    for first, second in beads.bonds - moving[0]:
        force.addExclusion(int(first), int(second))
    return force


def _springs(mm: Any, beads: Beads, moving: npt.NDArray[np.intp]) -> Any:
    force = mm.HarmonicBondForce()
    for first, second in beads.bonds - moving[0]:
        force.addBond(int(first), int(second), BOND_LENGTH, _BOND_STIFFNESS)
    return force


def _core(mm: Any, config: NanoparticleConfig, beads: Beads, moving: npt.NDArray[np.intp]) -> Any:
    force = mm.CustomExternalForce(f"{_CORE_STIFFNESS} * max(0, reach - sqrt(x * x + y * y + z * z))^2")
    force.addGlobalParameter("reach", config.core_radius + BEAD_DIAMETER / 2)
    for place, bead in enumerate(moving):
        if not beads.fixed[bead]:
            force.addParticle(place, [])
    return force
