"""Draws integrated side by side; a draw that the time step cannot follow is drawn again."""

import dataclasses
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import Array, couplings, kinetic_energy, potential_energy
from pipelines.nbody.initial_conditions import InitialState, draw, generator
from pipelines.nbody.records import Record

if TYPE_CHECKING:
    from pipelines.nbody.verlet import State

LANES_PER_GROUP = 8  # more are hardly faster, and a killed run loses the unfinished ones
_MAX_ATTEMPTS = 100


@dataclasses.dataclass
class Attempt:
    """One draw of a simulation while it is integrated."""

    split: str
    index: int
    number: int
    """Draws of this simulation before this one."""
    initial: InitialState
    kinetic: float
    """K0."""
    energy: float
    """E0."""
    frames: list[npt.NDArray[np.float32]] = dataclasses.field(default_factory=list)
    """`[N, D + 2]` each: positions, mass and charge."""
    energy_error: float = 0.0
    closest_approach: float = np.inf

    def observe(self, positions: Array, energy: float, closest_approach: float) -> None:
        """Add a frame: positions `[D, N]`, and the two observables of `State`."""
        features = np.stack([self.initial.masses, self.initial.charges], axis=1)
        self.frames.append(np.concatenate([positions.T, features], axis=1).astype(np.float32))
        # np.maximum keeps NaN, and NaN is refused.
        self.energy_error = float(np.maximum(self.energy_error, abs(energy - self.energy) / self.kinetic))
        self.closest_approach = min(self.closest_approach, float(closest_approach))

    def record(self) -> Record:
        """The record of an accepted draw."""
        return Record(self.number + 1, self.energy_error, self.closest_approach)


def _start(config: SimulationConfig, split: str, index: int, number: int) -> Attempt:
    if number == _MAX_ATTEMPTS:
        raise UserError(
            f"`time_step` must be small enough for `max_energy_error` = {config.max_energy_error}: "
            f"{number} successive draws of {split}/{index:05d} exceeded it. Received: {config.time_step}"
        )
    initial = draw(generator(config.seed, split, index, number), config)
    kinetic = kinetic_energy(initial.velocities, initial.masses)
    potential = potential_energy(
        initial.positions, initial.masses, initial.charges, config.coulomb_constant, config.gravitational_constant
    )
    return Attempt(split, index, number, initial, kinetic, kinetic + potential)


class Lanes:
    """Draws integrated side by side, one per lane; a finished draw makes room for the next simulation.

    The lanes of a group are integrated by one `advance` in one thread. The number of lanes per group is fixed, so
    that XLA compiles once and the bytes of a simulation depend neither on the others nor on the number of
    processors.

    Args:
        config: The system.
        pending: (split, index) of the simulations to make.
        num_groups: Number of threads.
    """

    def __init__(self, config: SimulationConfig, pending: Iterable[tuple[str, int]], num_groups: int) -> None:
        self._config = config
        self._pending = iter(pending)
        self._groups = [_Group(config) for _ in range(num_groups)]
        self.num_redrawn = 0
        """Draws refused so far."""
        for group in self._groups:
            for lane in range(LANES_PER_GROUP):
                group.place(lane, self._next())

    @property
    def num_unfinished_frames(self) -> int:
        """Frames of the draws that are not finished."""
        return sum(len(attempt.frames) for group in self._groups for attempt in group.attempts if attempt)

    def _next(self) -> Attempt | None:
        task = next(self._pending, None)
        return _start(self._config, *task, 0) if task else None

    def accepted(self) -> Iterator[list[Attempt]]:
        """Integrate frame by frame until all simulations are complete.

        Yields:
            After every frame, the accepted draws that it completes.
        """
        with ThreadPoolExecutor(len(self._groups)) as threads:
            while active := [group for group in self._groups if any(group.attempts)]:
                states = list(threads.map(_Group.advance, active))
                yield [attempt for pair in zip(active, states, strict=True) for attempt in self._observe(*pair)]

    def _observe(self, group: "_Group", state: "State") -> Iterator[Attempt]:
        """Add the new frames of a group; redraw where the energy error is too large, yield complete draws."""
        for lane, attempt in enumerate(group.attempts):
            if attempt is None:
                continue
            attempt.observe(state.positions[:, :, lane], state.energy[lane], state.closest_approach[lane])
            if not attempt.energy_error <= self._config.max_energy_error:
                self.num_redrawn += 1
                group.place(lane, _start(self._config, attempt.split, attempt.index, attempt.number + 1))
            elif len(attempt.frames) == self._config.num_steps // self._config.save_every:
                group.place(lane, self._next())
                yield attempt


class _Group:
    """The lanes of one `advance`. An empty lane computes zeros and NaN, which are not read."""

    def __init__(self, config: SimulationConfig) -> None:
        n, d = config.num_particles, config.num_dimensions
        self._config = config
        self.attempts: list[Attempt | None] = [None] * LANES_PER_GROUP
        self._positions, self._velocities = np.zeros((2, d, n, LANES_PER_GROUP))
        self._masses = np.ones((n, LANES_PER_GROUP))
        self._couplings = np.zeros((n, n, LANES_PER_GROUP))

    def place(self, lane: int, attempt: Attempt | None) -> None:
        self.attempts[lane] = attempt
        if attempt:
            initial, config = attempt.initial, self._config
            self._positions[:, :, lane] = initial.positions.T
            self._velocities[:, :, lane] = initial.velocities.T
            self._masses[:, lane] = initial.masses
            self._couplings[:, :, lane] = couplings(
                initial.masses, initial.charges, config.coulomb_constant, config.gravitational_constant
            )

    def advance(self) -> "State":
        from pipelines.nbody.verlet import advance

        state = advance(
            self._positions,
            self._velocities,
            self._masses,
            self._couplings,
            self._config.time_step,
            self._config.save_every,
        )
        self._positions, self._velocities = state.positions, state.velocities
        return state
