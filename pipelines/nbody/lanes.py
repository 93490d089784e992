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


@dataclasses.dataclass(eq=False)
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

    @property
    def task(self) -> tuple[str, int]:
        """Split and index of its simulation."""
        return self.split, self.index

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
    processors. Once all simulations have begun, free lanes hold spare draws: those that would follow if an earlier
    draw of the same simulation were refused. The first draw that is not refused is accepted, as without them.

    Args:
        config: The system.
        pending: (split, index) of the simulations to make.
        num_groups: Number of threads.
    """

    def __init__(self, config: SimulationConfig, pending: Iterable[tuple[str, int]], num_groups: int) -> None:
        self._config = config
        self._pending = iter(pending)
        self._draws: dict[tuple[str, int], _Draws] = {}
        self._num_before_accepted = 0
        self._groups = [_Group(config) for _ in range(num_groups)]
        self._fill()

    @property
    def num_redrawn(self) -> int:
        """Draws refused so far, without spare ones."""
        return self._num_before_accepted + sum(draws.kept[0].number for draws in self._draws.values())

    @property
    def num_unfinished_frames(self) -> int:
        """Frames of the simulations that are not finished."""
        return sum(len(draws.kept[0].frames) for draws in self._draws.values())

    def accepted(self) -> Iterator[list[Attempt]]:
        """Integrate frame by frame until all simulations are complete.

        Yields:
            After every frame, the accepted draws that it completes.
        """
        with ThreadPoolExecutor(len(self._groups)) as threads:
            while active := [group for group in self._groups if any(group.attempts)]:
                for group, state in zip(active, threads.map(_Group.advance, active), strict=True):
                    self._observe(group, state)
                done = [draws.kept[0] for draws in self._draws.values() if draws.kept and self._is_done(draws.kept[0])]
                for attempt in done:
                    self._num_before_accepted += attempt.number
                    del self._draws[attempt.task]
                self._fill()
                yield done

    def _is_done(self, attempt: Attempt) -> bool:
        return len(attempt.frames) == self._config.num_steps // self._config.save_every

    def _observe(self, group: "_Group", state: "State") -> None:
        """Add the new frames of a group; refuse a draw whose energy error is too large."""
        for lane, attempt in enumerate(group.attempts):
            if attempt is None:
                continue
            attempt.observe(state.positions[:, :, lane], state.energy[lane], state.closest_approach[lane])
            is_refused = not attempt.energy_error <= self._config.max_energy_error
            if is_refused:
                self._draws[attempt.task].kept.remove(attempt)
            if is_refused or self._is_done(attempt):
                group.attempts[lane] = None

    def _fill(self) -> None:
        """Put a draw into every lane that is free, or whose draw is no longer needed."""
        for group in self._groups:
            for lane, attempt in enumerate(group.attempts):
                if attempt is None or attempt.task not in self._draws:
                    group.place(lane, self._next())

    def _next(self) -> Attempt | None:
        """A draw of a simulation that has none, of the next simulation, or a spare one."""
        for task, draws in self._draws.items():
            if not draws.kept:
                return draws.another(self._config, *task)
        following = next(self._pending, None)
        if following is None:
            return self._spare()
        self._draws[following] = _Draws()
        return self._draws[following].another(self._config, *following)

    def _spare(self) -> Attempt | None:
        """A draw more of a simulation that has the fewest, and of these the fewest frames."""
        needing = {
            task: draws
            for task, draws in self._draws.items()
            if draws.number < _MAX_ATTEMPTS and not any(map(self._is_done, draws.kept))
        }
        if not needing:
            return None
        task = min(needing, key=lambda task: (len(needing[task].kept), len(needing[task].kept[0].frames)))
        return needing[task].another(self._config, *task)


@dataclasses.dataclass
class _Draws:
    """The draws of a simulation that are not refused, in their order."""

    kept: list[Attempt] = dataclasses.field(default_factory=list)
    number: int = 0
    """That of the next draw."""

    def another(self, config: SimulationConfig, split: str, index: int) -> Attempt:
        """The next draw."""
        attempt = _start(config, split, index, self.number)
        self.kept.append(attempt)
        self.number += 1
        return attempt


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
