"""An N-body dataset: many draws integrated at a time, redrawn where the time step cannot follow, resumable.

A directory holds `simulation.json` (the configuration, written first), for every simulation
`<split>/00000.npy` and then `<split>/00000.json` (its `Record`: a trajectory counts once this is there), and
`dataset.json` (written last). All are written under a temporary name and renamed.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.forces import Array, couplings, kinetic_energy, potential_energy
from pipelines.nbody.initial_conditions import SPLITS, InitialState, draw, generator
from pipelines.npy_files import save_trajectory
from pipelines.output_directory import claim
from pipelines.progress import Progress

if TYPE_CHECKING:
    from pipelines.nbody.verlet import State

CONFIG_FILE = "simulation.json"
_LANES = 8  # systems of one `advance`; more are hardly faster, and a killed run loses what is under way
_MAX_ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class Record:
    """How an accepted simulation came about."""

    attempts: int
    """Draws made; the last was accepted."""
    energy_error: float
    """max |E - E0| / K0 over the stored frames."""
    closest_approach: float
    """Smallest distance of two particles over the stored frames."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a dataset holds; `str` of it is the report for the user."""

    directory: Path
    """Where it is."""
    records: tuple[Record, ...]
    """One for every simulation."""
    was_complete: bool
    """Whether nothing was left to do."""

    @property
    def redrawn(self) -> int:
        """Draws that were refused."""
        return sum(record.attempts for record in self.records) - len(self.records)

    def statistics(self) -> dict[str, object]:
        """Counts, energy errors and the closest approach, as `dataset.json` holds them."""
        errors = [record.energy_error for record in self.records]
        return {
            "accepted": len(self.records),
            "redrawn": self.redrawn,
            "energy_error": {"median": float(np.median(errors)), "maximum": max(errors)},
            "closest_approach": min(record.closest_approach for record in self.records),
        }

    def __str__(self) -> str:
        errors = np.quantile([record.energy_error for record in self.records], [0.5, 0.9, 1.0])
        closest = min(record.closest_approach for record in self.records)
        lines = [
            f"{self.directory}: {len(self.records)} simulations accepted, {self.redrawn} draws redrawn",
            "max |E - E0| / K0: median {:.1e}, 90 % quantile {:.1e}, largest {:.1e}".format(*errors),
            f"closest approach in the stored frames: {closest:.3f}",
        ]
        if self.redrawn:
            lines.append(
                "Redrawn are systems that meet too closely for the time step: "
                "close encounters are under-represented in the dataset."
            )
        if self.was_complete:
            lines.insert(0, "The dataset was complete already; nothing was done.")
        return "\n".join(lines)


@dataclasses.dataclass
class _Run:
    """One draw under way."""

    split: str
    index: int
    attempt: int
    initial: InitialState
    kinetic: float
    energy: float
    frames: list[npt.NDArray[np.float32]] = dataclasses.field(default_factory=list)
    energy_error: float = 0.0
    closest_approach: float = np.inf

    def observe(self, positions: Array, energy: float, closest_approach: float) -> None:
        """Take in a frame: positions `[D, N]`, and the two observables of `State`."""
        features = np.stack([self.initial.masses, self.initial.charges], axis=1)
        self.frames.append(np.concatenate([positions.T, features], axis=1).astype(np.float32))
        # np.maximum keeps NaN, and NaN is refused.
        self.energy_error = float(np.maximum(self.energy_error, abs(energy - self.energy) / self.kinetic))
        self.closest_approach = min(self.closest_approach, float(closest_approach))

    def record(self) -> Record:
        return Record(self.attempt + 1, self.energy_error, self.closest_approach)


def _start(config: SimulationConfig, split: str, index: int, attempt: int) -> _Run:
    if attempt == _MAX_ATTEMPTS:
        raise UserError(
            f"`time_step` must be small enough for `max_energy_error` = {config.max_energy_error}: "
            f"{attempt} draws in a row of {split}/{index:05d} exceeded it. Received: {config.time_step}"
        )
    initial = draw(generator(config.seed, split, index, attempt), config)
    kinetic = kinetic_energy(initial.velocities, initial.masses)
    potential = potential_energy(
        initial.positions, initial.masses, initial.charges, config.coulomb_constant, config.gravitational_constant
    )
    return _Run(split, index, attempt, initial, kinetic, kinetic + potential)


class _Lanes:
    """Draws under way side by side, each in a lane of its own; what ends makes room for the next.

    A group of lanes is one `advance` in a thread of its own. The number of lanes in a group never changes, so
    that XLA compiles once and the bytes of a simulation depend neither on the others nor on the processors.
    """

    def __init__(self, config: SimulationConfig, pending: Iterable[tuple[str, int]], num_groups: int) -> None:
        self._config = config
        self._pending = iter(pending)
        self._groups = [_Group(config) for _ in range(num_groups)]
        self.num_redrawn = 0
        for group in self._groups:
            for lane in range(_LANES):
                group.place(lane, self._next())

    @property
    def num_frames_under_way(self) -> int:
        return sum(len(run.frames) for group in self._groups for run in group.runs if run)

    def _next(self) -> _Run | None:
        task = next(self._pending, None)
        return _start(self._config, *task, 0) if task else None

    def finish_runs(self) -> Iterator[list[_Run]]:
        """Advance by a frame at a time until all are done; yield the draws each frame completes."""
        with ThreadPoolExecutor(len(self._groups)) as threads:
            while active := [group for group in self._groups if any(group.runs)]:
                states = list(threads.map(_Group.advance, active))
                yield [run for pair in zip(active, states, strict=True) for run in self._take(*pair)]

    def _take(self, group: "_Group", state: "State") -> Iterator[_Run]:
        """Take in the new frames of a group; redraw what has strayed, yield and replace what is complete."""
        for lane, run in enumerate(group.runs):
            if run is None:
                continue
            run.observe(state.positions[:, :, lane], state.energy[lane], state.closest_approach[lane])
            if not run.energy_error <= self._config.max_energy_error:
                self.num_redrawn += 1
                group.place(lane, _start(self._config, run.split, run.index, run.attempt + 1))
            elif len(run.frames) == self._config.num_steps // self._config.save_every:
                group.place(lane, self._next())
                yield run


class _Group:
    """The lanes that one `advance` moves; an empty lane computes zeros and NaN, and nobody looks."""

    def __init__(self, config: SimulationConfig) -> None:
        n, d = config.num_particles, config.num_dimensions
        self._config = config
        self.runs: list[_Run | None] = [None] * _LANES
        self._positions, self._velocities = np.zeros((2, d, n, _LANES))
        self._masses = np.ones((n, _LANES))
        self._couplings = np.zeros((n, n, _LANES))

    def place(self, lane: int, run: _Run | None) -> None:
        self.runs[lane] = run
        if run:
            masses, charges = run.initial.masses, run.initial.charges
            self._positions[:, :, lane] = run.initial.positions.T
            self._velocities[:, :, lane] = run.initial.velocities.T
            self._masses[:, lane] = masses
            self._couplings[:, :, lane] = couplings(
                masses, charges, self._config.coulomb_constant, self._config.gravitational_constant
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


def simulate(config: SimulationConfig, directory: Path, *, command: str) -> Summary:
    """Simulate a dataset; a run that was stopped at any moment continues where it was.

    A trajectory is float32 `[num_steps / save_every, N, D + 2]`: positions, mass and charge; frame f is the
    state after step (f + 1) `save_every`. A draw is a function of seed, split, index and attempt alone, and
    the first attempt with max |E - E0| / K0 <= `max_energy_error` over its frames is accepted: the same seed
    gives the same bytes, and more simulations leave the first ones as they are.

    Args:
        config: The system, the numbers of simulations and the seed.
        directory: Where the dataset goes: new, empty, or a dataset of the same `config`.
        command: What the user called, for `dataset.json`.

    Returns:
        The summary.

    Raises:
        UserError: `directory` holds something else, the particles don't fit into the disc, or draw after draw
            exceeds the energy error.
    """
    _check_kinetic_energy(config)
    directory = Path(directory)
    claim(directory, CONFIG_FILE, dataclasses.asdict(config), "an N-body dataset")
    counts = (config.num_train, config.num_validation, config.num_test)
    names = {split: range(count) for split, count in zip(SPLITS, counts, strict=True)}
    tasks = [(split, index) for split in SPLITS for index in names[split]]
    pending = [
        task for task in tasks if not all(_path(directory, *task, suffix).exists() for suffix in (".npy", ".json"))
    ]
    was_complete = not pending and (directory / "dataset.json").exists()
    if pending:
        _simulate_pending(config, directory, pending, len(tasks))
    records = tuple(_read_record(_path(directory, *task, ".json")) for task in tasks)
    summary = Summary(directory, records, was_complete)
    if not was_complete:
        _manifest(config, command, names, summary).save(directory)
    return summary


def _check_kinetic_energy(config: SimulationConfig) -> None:
    if config.speed == 0 or config.num_particles == 1:
        raise UserError(
            "`speed` must be positive and `num_particles` at least 2: energy errors are relative "
            f"to the initial kinetic energy. Received: {config.speed} and {config.num_particles}"
        )


def _simulate_pending(
    config: SimulationConfig, directory: Path, pending: list[tuple[str, int]], num_simulations: int
) -> None:
    num_groups = min(os.cpu_count() or 1, -(-len(pending) // _LANES))
    lanes = _Lanes(config, pending, num_groups)
    num_frames = config.num_steps // config.save_every
    accepted = num_simulations - len(pending)
    with Progress("simulate", num_simulations * num_frames) as progress:
        for runs in lanes.finish_runs():
            for run in runs:
                save_trajectory(_path(directory, run.split, run.index, ".npy"), np.stack(run.frames))
                write_json(_path(directory, run.split, run.index, ".json"), dataclasses.asdict(run.record()))
            accepted += len(runs)
            progress.show(
                accepted * num_frames + lanes.num_frames_under_way,
                f"{accepted} of {num_simulations} accepted, {lanes.num_redrawn} redrawn",
            )


def _manifest(config: SimulationConfig, command: str, names: dict[str, range], summary: Summary) -> Manifest:
    return Manifest(
        name="nbody",
        num_dimensions=config.num_dimensions,
        features=("mass", "charge"),
        length_unit="1",
        # 1e-7 * 1000 is 9.999999999999999e-05 in floating point; say 1e-4.
        time_between_frames=float(f"{config.time_step * config.save_every:.12g}"),
        splits={
            split: tuple(_path(Path(), split, index, ".npy").as_posix() for index in indices)
            for split, indices in names.items()
        },
        provenance={
            "seed": config.seed,
            "command": command,
            "version": version("socialmd_tf"),
            "config": dataclasses.asdict(config),
            **summary.statistics(),
        },
    )


def _path(directory: Path, split: str, index: int, suffix: str) -> Path:
    return directory / split / f"{index:05d}{suffix}"


def _read_record(path: Path) -> Record:
    return Record(**json.loads(path.read_text()))
