"""Langevin dynamics of a nanoparticle with OpenMM, which is imported when something is simulated."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.extras import install_command
from pipelines.molecules.nanoparticle.beads import BOND_LENGTH, Beads
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.forces import HYDROPHOBICITY, MASS, RELAXED_HYDROPHOBICITY, forces

_STORED_EVERY = 5  # frames; a new context at each of them costs 6 % of the time
_RELAXATION_FRICTION = 1.0  # 1 / ps
_TORN = 3.0  # bond lengths
_START, _FRAME = 1, 2  # uses of random numbers


@dataclasses.dataclass(frozen=True)
class State:
    """A state from which a simulation can go on: with the random numbers to come, it determines the motion."""

    positions: npt.NDArray[np.float64]
    """Positions of the beads that are not gold `[n, 3]`, in nm."""
    velocities: npt.NDArray[np.float64]
    """Their velocities `[n, 3]`, in nm / ps."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A frame of a simulation."""

    frame: int
    """Its number."""
    positions: npt.NDArray[np.float64]
    """Positions of all beads `[num_beads, 3]`, in nm."""
    state: State
    """The state at this frame."""


def is_stored(frame: int) -> bool:
    """Whether the state at a frame is kept: at the first one, and at 4, 9, 14, ..., the last of 5, 10, 15 frames.

    The random numbers after such a frame depend on the seed, the simulation and the frame alone, so that a simulation
    continued from the state is the simulation itself.
    """
    return frame == 0 or (frame + 1) % _STORED_EVERY == 0


def simulate(config: NanoparticleConfig, beads: Beads, index: int) -> Iterator[Snapshot]:
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
        The frames.

    Raises:
        UserError: OpenMM is missing, or the time step is too long.
    """
    return _follow(config, beads, index, _relaxed(config, beads, index), 0, config.seed)


def rerun(
    config: NanoparticleConfig, beads: Beads, index: int, state: State, stored: int, frame: int, seed: int
) -> Iterator[Snapshot]:
    """Simulate a nanoparticle again from a frame on, with other random numbers.

    Args:
        config: Configuration of the simulation.
        beads: The nanoparticle.
        index: Number of the simulation.
        state: Its state at the frame `stored`.
        stored: Last frame up to `frame` whose state is known.
        frame: The frame at which to begin.
        seed: Seed of the random numbers after it. That of `config` gives the simulation itself.

    Yields:
        Frames `frame`, `frame` + 1, ... to the end of the simulation; the first one is that of the simulation.

    Raises:
        UserError: OpenMM is missing.
    """
    itself = itertools.dropwhile(
        lambda snapshot: snapshot.frame < frame, _follow(config, beads, index, state, stored, config.seed)
    )
    if seed == config.seed:
        return itself
    return _follow(config, beads, index, next(itself).state, frame, seed)


def _relaxed(config: NanoparticleConfig, beads: Beads, index: int) -> State:
    """The state at the first frame: strands of equal heads, from straight ones at random velocities."""
    mm = _openmm()
    system = _system(mm, config, beads, RELAXED_HYDROPHOBICITY)
    seed = _seed(config.seed, index, _START)
    context = _context(mm, system, _integrator(mm, config, _RELAXATION_FRICTION, seed))
    context.setPositions(beads.positions[beads.moving])
    mm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(config.temperature, seed)
    _advance(mm, config, context, config.relaxation_steps)
    return _state(context)


def _follow(
    config: NanoparticleConfig, beads: Beads, index: int, state: State, first: int, seed: int
) -> Iterator[Snapshot]:
    """The frames from the state at frame `first` on."""
    mm = _openmm()
    system = _system(mm, config, beads, HYDROPHOBICITY)
    context = None
    for frame in range(first, config.num_frames):
        if context is not None:
            _advance(mm, config, context, config.steps_per_frame)
            state = _state(context)
        yield Snapshot(frame, _checked_positions(config, beads, state, frame), state)
        if frame == first or is_stored(frame):
            # Neighbour lists and random numbers have a history. A new context has none but the state and the seed.
            integrator = _integrator(mm, config, config.friction, _seed(seed, index, _FRAME, frame))
            context = _context(mm, system, integrator)
            context.setPositions(state.positions)
            context.setVelocities(state.velocities)


def _system(mm: Any, config: NanoparticleConfig, beads: Beads, hydrophobicity: dict[str, float]) -> Any:
    system = mm.System()
    for bead in beads.moving:
        system.addParticle(0.0 if beads.fixed[bead] else MASS)
    for force in forces(mm, config, beads, hydrophobicity):
        system.addForce(force)
    return system


def _seed(*key: int) -> int:
    return int(np.random.default_rng(key).integers(1, 2**31 - 1))


def _integrator(mm: Any, config: NanoparticleConfig, friction: float, seed: int) -> Any:
    integrator = mm.LangevinMiddleIntegrator(config.temperature, friction, config.time_step)
    integrator.setRandomNumberSeed(seed)
    return integrator


def _context(mm: Any, system: Any, integrator: Any) -> Any:
    # With one thread and a fixed order of summation, the same seed gives the same frames.
    options = {"Threads": "1", "DeterministicForces": "true"}
    return mm.Context(system, integrator, mm.Platform.getPlatformByName("CPU"), options)


def _advance(mm: Any, config: NanoparticleConfig, context: Any, num_steps: int) -> None:
    try:
        context.getIntegrator().step(num_steps)
    except mm.OpenMMException as error:
        raise _too_long(config, str(error)) from None


def _too_long(config: NanoparticleConfig, symptom: str) -> UserError:
    return UserError(
        f"`time_step` must be short enough to follow the motion. Received: {config.time_step} ps; {symptom}"
    )


def _state(context: Any) -> State:
    state = context.getState(getPositions=True, getVelocities=True)
    return State(np.array(state.getPositions(asNumpy=True)._value), np.array(state.getVelocities(asNumpy=True)._value))


def _checked_positions(config: NanoparticleConfig, beads: Beads, state: State, frame: int) -> npt.NDArray[np.float64]:
    """Positions of all beads `[num_beads, 3]`; refused if a strand is torn."""
    positions = beads.positions.copy()
    positions[beads.moving] = state.positions
    lengths = np.linalg.norm(positions[beads.bonds[:, 0]] - positions[beads.bonds[:, 1]], axis=1)
    if not lengths.max() < _TORN * BOND_LENGTH:
        raise _too_long(config, f"a bond is {lengths.max():.3g} nm long at frame {frame}")
    return positions


def _openmm() -> Any:
    try:
        import openmm
    except ImportError:
        raise UserError(
            f"simulating nanoparticles needs OpenMM, which is not installed; expected: {install_command('openmm')}"
        ) from None
    return openmm
