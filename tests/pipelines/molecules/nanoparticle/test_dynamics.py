import numpy as np
import pytest

from pipelines.molecules.nanoparticle.beads import BEAD_DIAMETER
from pipelines.molecules.nanoparticle.forces import ASHBAUGH_HATCH


def test_the_energy_is_that_of_ashbaugh_and_hatch():
    mm = pytest.importorskip("openmm")
    diameter, depth = BEAD_DIAMETER, 1.5
    for hydrophobicity in (0.0, 0.65, 1.3):
        force = mm.CustomNonbondedForce(ASHBAUGH_HATCH)
        force.addGlobalParameter("diameter", diameter)
        force.addGlobalParameter("attraction", depth)
        force.addPerParticleParameter("lambda")
        system = mm.System()
        for value in (hydrophobicity / 2, 3 * hydrophobicity / 2):  # the mean counts
            system.addParticle(1.0)
            force.addParticle([value])
        system.addForce(force)
        context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
        for distance in (0.4, 0.47, 0.52, 0.53, 0.6, 0.9):
            context.setPositions(np.array([[0, 0, 0], [distance, 0, 0]]))
            found = context.getState(getEnergy=True).getPotentialEnergy()._value
            lennard_jones = 4 * depth * ((diameter / distance) ** 12 - (diameter / distance) ** 6)
            if distance < 2 ** (1 / 6) * diameter:
                expected = lennard_jones + (1 - hydrophobicity) * depth
            else:
                expected = hydrophobicity * lennard_jones
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
