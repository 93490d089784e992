"""Configurations of the N-body simulations: the only place where their defaults live."""

import dataclasses

from pipelines.errors import require


@dataclasses.dataclass(frozen=True)
class SimulationConfig:
    """The N-body system: U = sum over pairs of (k q_i q_j - G m_i m_j) / r (thesis section 4.2).

    The thesis states neither constants nor distributions. Ours are chosen to match the facts that it states:
    largest separations about 11, smallest stored distances about 0.04, curves of radius about 1. Lengths, times
    and masses are in the arbitrary units of the thesis.
    """

    num_train: int = 100
    """Number of simulations in the training split."""
    num_validation: int = 20
    """Number of simulations in the validation split."""
    num_test: int = 20
    """Number of simulations in the test split."""
    num_particles: int = 25
    """Number of particles per simulation (N)."""
    num_dimensions: int = 2
    """Number of space dimensions, 2 or 3 (D)."""
    num_steps: int = 1_000_000
    """Number of velocity Verlet steps per simulation."""
    time_step: float = 1e-7
    """Time of one step."""
    save_every: int = 1000
    """Number of steps per stored frame."""
    seed: int = 0
    """Random seed; the same seed gives the same bytes."""
    coulomb_constant: float = 300.0
    """k of the Coulomb energy k q_i q_j / r."""
    gravitational_constant: float = 20.0
    """G of the gravitational energy -G m_i m_j / r."""
    radius: float = 3.5
    """Radius of the disc (ball) in which initial positions are uniform."""
    min_distance: float = 0.4
    """Smallest initial distance between two particles."""
    speed: float = 15.0
    """Standard deviation of the initial velocity components."""
    max_energy_error: float = 1e-4
    """Largest accepted energy error, max |E - E0| / K0; a simulation that exceeds it is drawn again."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("num_train", "num_validation", "num_test", "seed"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        require(
            self.num_train + self.num_validation + self.num_test > 0,
            "num_train",
            "at least 1 when no other split has a simulation",
            self.num_train,
        )
        for name in ("num_particles", "num_steps", "save_every"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.num_dimensions in (2, 3), "num_dimensions", "2 or 3", self.num_dimensions)
        require(
            self.num_steps % self.save_every == 0,
            "save_every",
            f"a divisor of `num_steps` = {self.num_steps}",
            self.save_every,
        )
        for name in ("time_step", "radius", "min_distance", "max_energy_error"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.speed >= 0, "speed", "at least 0", self.speed)


@dataclasses.dataclass(frozen=True)
class ChargedBoxConfig:
    """Charged particles in a box with elastic walls: the benchmark of Kipf et al. 2018.

    The numbers are those of their paper or, where the paper does not state them, of their published code: position
    components N(0, 1), speeds of 0.5 in random directions, charges +-1, masses 1.
    """

    num_train: int = 50_000
    """Number of simulations in the training split."""
    num_validation: int = 10_000
    """Number of simulations in the validation split."""
    num_test: int = 10_000
    """Number of simulations in the test split."""
    num_frames: int = 49
    """Number of frames of a training or validation simulation."""
    num_test_frames: int = 99
    """Number of frames of a test simulation."""
    num_particles: int = 5
    """Number of particles per simulation (N)."""
    time_step: float = 1e-3
    """Time of one step."""
    save_every: int = 100
    """Number of steps per stored frame."""
    coulomb_constant: float = 1.0
    """k of the Coulomb energy k q_i q_j / r."""
    max_force: float = 100.0
    """Largest component of the force on a particle; larger components are clipped."""
    half_width: float = 5.0
    """Distance of the walls from the origin in every dimension."""
    position_spread: float = 1.0
    """Standard deviation of the initial coordinates."""
    speed: float = 0.5
    """Initial speed of every particle."""
    seed: int = 0
    """Random seed; the same seed gives the same bytes."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("num_train", "num_validation", "num_test", "seed"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        require(
            self.num_train > 0,
            "num_train",
            "at least 1, since its extremes are the units of the errors",
            self.num_train,
        )
        for name in ("num_frames", "num_test_frames", "num_particles", "save_every"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("time_step", "max_force", "half_width", "position_spread"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.speed >= 0, "speed", "at least 0", self.speed)
