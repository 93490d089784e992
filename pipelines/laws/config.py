"""Configurations of the laws: the only place where their defaults live."""

import dataclasses
import math
from typing import ClassVar

from pipelines.errors import require


@dataclasses.dataclass(frozen=True)
class LawConfig:
    """Fields that all laws have; lengths and times are in reduced units, masses are 1."""

    keeps_energy: ClassVar[bool] = True
    """Whether the energy is constant without friction."""

    num_train: int = 100
    """Number of simulations in the training split."""
    num_validation: int = 20
    """Number of simulations in the validation split."""
    num_test: int = 20
    """Number of simulations in the test split."""
    num_particles: int = 5
    """Number of particles per simulation (N)."""
    num_dimensions: int = 2
    """Number of space dimensions, 2 or 3 (D)."""
    num_frames: int = 50
    """Number of stored frames per simulation."""
    time_step: float = 1e-3
    """Time of one step of the integrator."""
    save_every: int = 100
    """Number of steps between stored frames."""
    equilibration_steps: int = 0
    """Number of steps before the first stored frame."""
    friction: float = 0.0
    """Friction gamma: a free particle's velocity decays as exp(-gamma t)."""
    temperature: float = 0.0
    """Temperature of the random forces that accompany friction (Langevin dynamics); 0 for none."""
    velocities: bool = False
    """Write velocities beside the positions; models then observe them."""
    seed: int = 0
    """Random seed; the same seed gives the same bytes."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name, value in dataclasses.asdict(self).items():
            require(math.isfinite(value), name, "finite", value)
        for name in ("num_train", "num_validation", "num_test", "seed", "equilibration_steps"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        require(
            self.num_train + self.num_validation + self.num_test > 0,
            "num_train",
            "at least 1 when no other split has a simulation",
            self.num_train,
        )
        for name in ("num_particles", "num_frames", "save_every"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.num_dimensions in (2, 3), "num_dimensions", "2 or 3", self.num_dimensions)
        require(self.time_step > 0, "time_step", "positive", self.time_step)
        for name in ("friction", "temperature"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        without_friction = self.temperature > 0 and self.friction == 0
        require(not without_friction, "temperature", "0 where `friction` is 0", self.temperature)

    @property
    def equilibration(self) -> tuple[float, float]:
        """Friction and temperature of the steps before the first stored frame."""
        return self.friction, self.temperature


@dataclasses.dataclass(frozen=True)
class SpringsConfig(LawConfig):
    """Springs of rest length 0 on a random graph, without walls (the springs of Kipf et al. 2018).

    Every pair is joined with probability `edge_probability`; U = sum over edges of k r^2 / 2. Coordinates are
    N(0, `position_spread`^2); velocities have the length `speed` and random directions.
    """

    num_dimensions: int = 3
    spring_constant: float = 0.1
    """k."""
    edge_probability: float = 0.5
    """Probability of an edge between two particles."""
    position_spread: float = 0.5
    """Standard deviation of the initial coordinates."""
    speed: float = 0.5
    """Initial speed of every particle."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        for name in ("spring_constant", "position_spread"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.speed >= 0, "speed", "at least 0", self.speed)
        require(0 <= self.edge_probability <= 1, "edge_probability", "from 0 to 1", self.edge_probability)


@dataclasses.dataclass(frozen=True)
class TrapConfig(LawConfig):
    """Soft disks (spheres) in a harmonic trap with friction.

    U = sum over pairs closer than the diameter d of epsilon (1 - r / d)^2 / 2, plus sum over particles of k |x|^2 / 2.
    Coordinates are N(0, `position_spread`^2), velocity components N(0, `speed`^2).
    """

    num_particles: int = 10
    save_every: int = 50
    friction: float = 0.3
    trap_constant: float = 1.0
    """k of the trap."""
    stiffness: float = 20.0
    """epsilon: twice the energy of a pair at distance 0."""
    diameter: float = 1.0
    """d: particles closer than this repel each other."""
    position_spread: float = 1.5
    """Standard deviation of the initial coordinates."""
    speed: float = 2.0
    """Standard deviation of the initial velocity components."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        for name in ("trap_constant", "stiffness", "diameter", "position_spread"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.speed >= 0, "speed", "at least 0", self.speed)


@dataclasses.dataclass(frozen=True)
class LennardJonesConfig(LawConfig):
    """A Lennard-Jones liquid in a periodic square (cube), in units of sigma, epsilon and mass.

    U = sum over pairs of 4 (r^-12 - r^-6) S(r): S falls smoothly from 1 at `switch` to 0 at `cutoff`. Particles start
    on a lattice and are equilibrated by Langevin dynamics at `initial_temperature`; stored frames follow Newton's law,
    unless `friction` is positive.
    """

    num_particles: int = 64
    time_step: float = 2e-3
    save_every: int = 10
    equilibration_steps: int = 2000
    density: float = 0.7
    """Particles per unit of area (volume)."""
    initial_temperature: float = 1.0
    """Temperature of the equilibration (Langevin dynamics with friction 1)."""
    cutoff: float = 2.3
    """Distance beyond which there is no force."""
    switch: float = 1.8
    """Distance at which the potential starts to be switched off."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        for name in ("density", "initial_temperature"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(0 < self.switch < self.cutoff, "switch", f"positive and below `cutoff` = {self.cutoff}", self.switch)
        require(
            2 * self.cutoff <= self.box_side,
            "cutoff",
            f"at most half the side of the box, {self.box_side / 2:.4g}; use a larger `num_particles`",
            self.cutoff,
        )

    @property
    def equilibration(self) -> tuple[float, float]:
        """Friction and temperature of the steps before the first stored frame."""
        return 1.0, self.initial_temperature

    @property
    def box_side(self) -> float:
        """Edge length of the box, (N / density)^(1 / D)."""
        return float((self.num_particles / self.density) ** (1 / self.num_dimensions))


@dataclasses.dataclass(frozen=True)
class CoulombConfig(LawConfig):
    """Charges of -1 and 1 in open space with clipped forces (the charged particles of Kipf et al. 2018).

    U = sum over pairs of k q_i q_j / r. Components of the force on a particle are clipped to +-`max_force`, so close
    encounters change the energy. Coordinates are N(0, `position_spread`^2); velocities have length `speed`.
    """

    keeps_energy: ClassVar[bool] = False

    num_dimensions: int = 3
    coulomb_constant: float = 1.0
    """k."""
    max_force: float = 100.0
    """Largest component of the force on a particle; larger components are clipped."""
    position_spread: float = 1.0
    """Standard deviation of the initial coordinates."""
    speed: float = 0.5
    """Initial speed of every particle."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        for name in ("coulomb_constant", "max_force", "position_spread"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.speed >= 0, "speed", "at least 0", self.speed)
