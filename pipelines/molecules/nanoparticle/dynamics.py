"""Langevin dynamics of a nanoparticle with OpenMM, which is imported when something is simulated."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.nanoparticle.beads import BEAD_DIAMETER, BOND_LENGTH, LIGAND, Beads
from pipelines.molecules.nanoparticle.config import NanoparticleConfig

HYDROPHOBICITY = {LIGAND: 0.6, "OCQ": 0.6, "OCN": 0.6, "ONC": 0.0}
"""lambda of each molecule, 0 for hydrophilic ones."""
DRUG_HYDROPHOBICITY = {"hydrophobic": 1.3, "hydrophilic": 0.0}
RELAXED_HYDROPHOBICITY = 0.2
"""lambda of drug and background before they become different."""

_HEADS = ("OQL", "ONC")
_MASS = 72.0  # amu, of a bead of four heavy atoms
_BOND_STIFFNESS = 5000.0  # kJ / mol / nm^2
_CORE_STIFFNESS = 1000.0  # kJ / mol / nm^2
_CUTOFF = 1.0  # nm; the attraction there is a fiftieth of its depth
_RELAXATION_FRICTION = 1.0  # 1 / ps
_TORN = 3.0  # bond lengths

# Ashbaugh and Hatch (2008): Lennard-Jones repulsion, attraction scaled by lambda. The constant inside the minimum makes
# the energy continuous.
_ASHBAUGH_HATCH = (
    "lambda * lj + inside * (1 - lambda) * (lj + attraction); inside = step(diameter * 2^(1/6) - r);"
    "lj = 4 * attraction * ((diameter / r)^12 - (diameter / r)^6); lambda = (lambda1 + lambda2) / 2"
)


def simulate(config: NanoparticleConfig, beads: Beads, index: int) -> Iterator[npt.NDArray[np.float64]]:
    """Simulate a nanoparticle in implicit solvent at constant temperature.

    Beads repel each other, and attract each other in proportion to their hydrophobicity,

        U = U_LJ + (1 - l) e  for r < 2^(1/6) s,  l U_LJ  beyond it,  l = (l_i + l_j) / 2,

    with the Lennard-Jones potential U_LJ of depth e and diameter s. Bonded beads are held by springs instead; the core
    is a repulsive sphere. The system relaxes with heads of equal hydrophobicity, which become different at the first
    frame.

    Args:
        config: Steps, temperature, friction.
        beads: The nanoparticle.
        index: Number of the simulation, which seeds its random numbers.

    Yields:
        Positions of the frames `[num_beads, 3]`, in nm, gold included.

    Raises:
        UserError: OpenMM is missing, or the time step is too long.
    """
    mm = _openmm()
    moving = np.flatnonzero(~beads.is_gold)
    pairs = _pair_force(mm, config, beads, moving)
    system = mm.System()
    for bead in moving:
        system.addParticle(0.0 if beads.fixed[bead] else _MASS)
    for force in (pairs, *_other_forces(mm, config, beads, moving)):
        system.addForce(force)
    integrator = mm.LangevinMiddleIntegrator(config.temperature, _RELAXATION_FRICTION, config.time_step)
    context = _start(mm, config, system, integrator, beads.positions[moving], index)
    _advance(mm, config, integrator, config.relaxation_steps)
    _set_hydrophobicity(pairs, beads, moving, HYDROPHOBICITY | {"OQL": DRUG_HYDROPHOBICITY[config.drug]})
    pairs.updateParametersInContext(context)
    integrator.setFriction(config.friction)
    for frame in range(config.num_frames):
        if frame:
            _advance(mm, config, integrator, config.steps_per_frame)
        positions = _positions(context, beads, moving)
        lengths = np.linalg.norm(positions[beads.bonds[:, 0]] - positions[beads.bonds[:, 1]], axis=1)
        if not lengths.max() < _TORN * BOND_LENGTH:
            raise _too_long(config, f"a bond is {lengths.max():.3g} nm long at frame {frame}")
        yield positions


def _start(
    mm: Any, config: NanoparticleConfig, system: Any, integrator: Any, positions: npt.NDArray[np.float64], index: int
) -> Any:
    """The context of a simulation at minimal energy, with random velocities."""
    seed = int(np.random.default_rng([config.seed, index, 1]).integers(1, 2**31 - 1))
    integrator.setRandomNumberSeed(seed)
    # With one thread and a fixed order of summation, the same seed gives the same frames.
    options = {"Threads": "1", "DeterministicForces": "true"}
    context = mm.Context(system, integrator, mm.Platform.getPlatformByName("CPU"), options)
    context.setPositions(positions)
    mm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(config.temperature, seed)
    return context


def _advance(mm: Any, config: NanoparticleConfig, integrator: Any, num_steps: int) -> None:
    try:
        integrator.step(num_steps)
    except mm.OpenMMException as error:
        raise _too_long(config, str(error)) from None


def _too_long(config: NanoparticleConfig, symptom: str) -> UserError:
    return UserError(
        f"`time_step` must be short enough to follow the motion. Received: {config.time_step} ps; {symptom}"
    )


def _pair_force(mm: Any, config: NanoparticleConfig, beads: Beads, moving: npt.NDArray[np.intp]) -> Any:
    force = mm.CustomNonbondedForce(_ASHBAUGH_HATCH)
    force.addGlobalParameter("diameter", BEAD_DIAMETER)
    force.addGlobalParameter("attraction", config.attraction)
    force.addPerParticleParameter("lambda")
    force.setNonbondedMethod(mm.CustomNonbondedForce.CutoffNonPeriodic)
    force.setCutoffDistance(_CUTOFF)
    for _ in moving:
        force.addParticle([0.0])
    _set_hydrophobicity(force, beads, moving, HYDROPHOBICITY | dict.fromkeys(_HEADS, RELAXED_HYDROPHOBICITY))
    for first, second in beads.bonds - moving[0]:
        force.addExclusion(int(first), int(second))
    return force


def _set_hydrophobicity(force: Any, beads: Beads, moving: npt.NDArray[np.intp], values: dict[str, float]) -> None:
    for place, bead in enumerate(moving):
        force.setParticleParameters(place, [values[beads.molecules[bead]]])


def _other_forces(mm: Any, config: NanoparticleConfig, beads: Beads, moving: npt.NDArray[np.intp]) -> tuple[Any, Any]:
    """Springs along the strands, and the repulsive core."""
    springs = mm.HarmonicBondForce()
    for first, second in beads.bonds - moving[0]:
        springs.addBond(int(first), int(second), BOND_LENGTH, _BOND_STIFFNESS)
    core = mm.CustomExternalForce(f"{_CORE_STIFFNESS} * max(0, reach - sqrt(x * x + y * y + z * z))^2")
    core.addGlobalParameter("reach", config.core_radius + BEAD_DIAMETER / 2)
    for place, bead in enumerate(moving):
        if not beads.fixed[bead]:
            core.addParticle(place, [])
    return springs, core


def _positions(context: Any, beads: Beads, moving: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    positions = beads.positions.copy()
    state = context.getState(getPositions=True)
    positions[moving] = state.getPositions(asNumpy=True)._value
    return positions


def _openmm() -> Any:
    try:
        import openmm
    except ImportError:
        raise UserError(
            "simulating nanoparticles needs OpenMM, which is not installed; expected: pip install 'socialmd_tf[openmm]'"
        ) from None
    return openmm
