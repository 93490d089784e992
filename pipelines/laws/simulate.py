"""Simulations of a law, in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import require
from pipelines.laws import coulomb, lennard_jones, springs, trap
from pipelines.laws.config import CoulombConfig, LawConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.integrate import advance
from pipelines.laws.systems import Array, Law, Systems, joined, kinetic_energy

LAWS: Mapping[str, tuple[type[LawConfig], Law]] = MappingProxyType(
    {
        "springs": (SpringsConfig, springs),
        "trap": (TrapConfig, trap),
        "lennard-jones": (LennardJonesConfig, lennard_jones),
        "coulomb": (CoulombConfig, coulomb),
    }
)
"""Name of a law -> its configuration and the module that defines it (`pipelines.laws.systems.Law`)."""

State = tuple[Array, Array]
"""Positions and velocities, each `[S, N, D]`."""
_LARGEST_ENERGY_ERROR = 0.01


@dataclasses.dataclass(frozen=True)
class Simulations:
    """S simulations of F frames."""

    positions: Array
    """`[S, F, N, D]`, unwrapped."""
    velocities: Array
    """`[S, F, N, D]`."""
    edges: npt.NDArray[np.integer[Any]]
    """Types of the bonds `[S, N, N]`; 0 for none."""
    charges: Array
    """`[S, N]`; 0 where the law has none."""


def law_of(config: LawConfig) -> Law:
    """The module that defines the law of a configuration."""
    return next(module for kind, module in LAWS.values() if type(config) is kind)


def name_of(config: LawConfig) -> str:
    """Name of the law of a configuration."""
    return next(name for name, (kind, _) in LAWS.items() if type(config) is kind)


def simulate(config: LawConfig, generators: Sequence[np.random.Generator]) -> Simulations:
    """Simulate one system per generator; a system does not depend on the others.

    Args:
        config: The law.
        generators: Source of all random numbers of each system.

    Returns:
        The stored frames; the first one is the state after the equilibration.

    Raises:
        UserError: The time step is too long for the motion.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # refused below
        simulations = _simulate(config, generators)
        _check_motion(config, simulations)
    return simulations


def _simulate(config: LawConfig, generators: Sequence[np.random.Generator]) -> Simulations:
    law = law_of(config)
    drawn = [law.draw(rng, config) for rng in generators]
    systems = joined(drawn)
    accelerations = law.accelerations(config, systems)

    def advanced(state: State, num_steps: int, friction: float, temperature: float) -> State:
        return advance(
            *state,
            accelerations,
            time_step=config.time_step,
            num_steps=num_steps,
            friction=friction,
            temperature=temperature,
            generators=generators,
        )

    start = systems.positions, systems.velocities
    frames = [advanced(start, config.equilibration_steps, *config.equilibration)]
    for _ in range(config.num_frames - 1):
        frames.append(advanced(frames[-1], config.save_every, config.friction, config.temperature))
    positions, velocities = (np.stack(arrays, axis=1) for arrays in zip(*frames, strict=True))
    return Simulations(positions, velocities, systems.edges, systems.charges)


def _check_motion(config: LawConfig, simulations: Simulations) -> None:
    """Refuse a time step with which positions leave the range of float32 or the energy is wrong."""
    is_finite = bool(np.isfinite(simulations.positions.astype(np.float32)).all())
    require(is_finite, "time_step", "short enough that positions stay finite", config.time_step)
    if config.keeps_energy and config.temperature == 0:
        error = _energy_error(config, simulations)
        rule = f"short enough that energy errors are below {_LARGEST_ENERGY_ERROR:.0%} of the largest kinetic energy"
        require(error <= _LARGEST_ENERGY_ERROR, "time_step", f"{rule} (here: {error:.1%})", config.time_step)


def _energy_error(config: LawConfig, simulations: Simulations) -> float:
    """Largest change of the energy, or with friction its largest rise, relative to the largest kinetic energy."""
    law, kinetic, total = law_of(config), [], []
    for frame in range(simulations.positions.shape[1]):
        positions, velocities = simulations.positions[:, frame], simulations.velocities[:, frame]
        systems = Systems(positions, velocities, simulations.edges, simulations.charges)
        kinetic.append(kinetic_energy(velocities))
        total.append(kinetic[-1] + law.potential_energy(config, systems))
    expected = np.minimum.accumulate(total) if config.friction else total[0]
    errors, largest = np.abs(total - expected).max(axis=0), np.max(kinetic, axis=0)
    return float(np.max(np.divide(errors, largest, out=np.zeros_like(errors), where=largest > 0)))
