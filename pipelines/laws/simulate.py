"""Simulations of a law, in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pipelines.laws import coulomb, lennard_jones, springs, trap
from pipelines.laws.config import CoulombConfig, LawConfig, LennardJonesConfig, SpringsConfig, TrapConfig
from pipelines.laws.integrate import advance
from pipelines.laws.systems import Array, Law, joined

LAWS: Mapping[str, tuple[type[LawConfig], Law]] = MappingProxyType(
    {
        "springs": (SpringsConfig, springs),
        "trap": (TrapConfig, trap),
        "lennard-jones": (LennardJonesConfig, lennard_jones),
        "coulomb": (CoulombConfig, coulomb),
    }
)
"""Name of a law -> its configuration and the module that defines it (`pipelines.laws.systems.Law`)."""

_EQUILIBRATION_FRICTION = 1.0


@dataclasses.dataclass(frozen=True)
class Simulations:
    """S simulations of F frames."""

    positions: Array
    """`[S, F, N, D]`, unwrapped."""
    velocities: Array
    """`[S, F, N, D]`."""
    edges: npt.NDArray[np.int64]
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
    """
    law = law_of(config)
    drawn = [law.draw(rng, config) for rng in generators]
    systems = joined(drawn)
    accelerations = law.accelerations(config, systems)
    start = advance(
        systems.positions,
        systems.velocities,
        accelerations,
        time_step=config.time_step,
        num_steps=config.equilibration_steps,
        friction=config.friction or _EQUILIBRATION_FRICTION,
        temperature=getattr(config, "initial_temperature", config.temperature),
        generators=generators,
    )
    frames = [start]
    for _ in range(config.num_frames - 1):
        frames.append(
            advance(
                *frames[-1],
                accelerations,
                time_step=config.time_step,
                num_steps=config.save_every,
                friction=config.friction,
                temperature=config.temperature,
                generators=generators,
            )
        )
    positions, velocities = (np.stack(arrays, axis=1) for arrays in zip(*frames, strict=True))
    return Simulations(positions, velocities, systems.edges, systems.charges)
