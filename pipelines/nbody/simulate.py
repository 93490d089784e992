"""An N-body dataset: simulations of many draws, resumable.

A directory holds `simulation.json` (the configuration, written first), for every simulation
`<split>/00000.npy` and then `<split>/00000.json` (its `Record`: a trajectory counts once this exists), and
`dataset.json` (written last). All are written under a temporary name and renamed.
"""

import dataclasses
import os
from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_json
from pipelines.errors import UserError
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.nbody.config import SimulationConfig
from pipelines.nbody.initial_conditions import SPLITS
from pipelines.nbody.lanes import LANES_PER_GROUP, Lanes
from pipelines.nbody.records import Record, Summary
from pipelines.npy_files import save_trajectory
from pipelines.output_directory import check_claim, claim, defaults_of
from pipelines.progress import Progress
from pipelines.workers import HERE, Workers, run_all

CONFIG_FILE = "simulation.json"
_SIMULATIONS_PER_UNIT = 2 * LANES_PER_GROUP


def simulate(config: SimulationConfig, directory: Path, *, command: str, workers: Workers = HERE) -> Summary:
    """Simulate a dataset; a call with the same arguments resumes an interrupted one.

    A trajectory is float32 `[num_steps / save_every, N, D + 2]`: positions, mass and charge; frame f is the
    state after step (f + 1) `save_every`. A draw depends on seed, split, index and number of attempts only, and
    the first draw with max |E - E0| / K0 <= `max_energy_error` over its frames is accepted: the same seed gives
    the same bytes, and a larger dataset begins with the simulations of a smaller one.

    Args:
        config: The system, the numbers of simulations and the seed.
        directory: Directory of the dataset: new, empty, or a dataset of the same `config`.
        command: The command, for the provenance in `dataset.json`.
        workers: Where the simulations are made, by default here, in one thread per processor.

    Returns:
        The summary.

    Raises:
        UserError: `directory` holds something else or is in use, the particles do not fit into the disc, or too
            many successive draws exceed the energy error.
    """
    _check_kinetic_energy(config)
    directory = Path(directory)
    place = directory, CONFIG_FILE, dataclasses.asdict(config), "an N-body dataset", defaults_of(SimulationConfig)
    counts = (config.num_train, config.num_validation, config.num_test)
    tasks = [(split, index) for split, count in zip(SPLITS, counts, strict=True) for index in range(count)]
    was_complete = check_claim(*place) and not _pending(directory, tasks) and (directory / MANIFEST_FILE).exists()
    if was_complete:
        return Summary(directory, _records(directory, tasks), was_complete=True)
    with claim(*place):
        _simulate_pending(config, directory, tasks, workers)
        summary = Summary(directory, _records(directory, tasks), was_complete=False)
        _manifest(config, command, tasks, summary).save(directory)
    return summary


def _check_kinetic_energy(config: SimulationConfig) -> None:
    if config.speed == 0 or config.num_particles == 1:
        raise UserError(
            "`speed` must be positive and `num_particles` at least 2: energy errors are relative "
            f"to the initial kinetic energy. Received: {config.speed} and {config.num_particles}"
        )


def _pending(directory: Path, tasks: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [task for task in tasks if not all(_path(directory, *task, suffix).exists() for suffix in (".npy", ".json"))]


def _simulate_pending(
    config: SimulationConfig, directory: Path, tasks: Sequence[tuple[str, int]], workers: Workers
) -> None:
    pending = _pending(directory, tasks)
    size = _SIMULATIONS_PER_UNIT if workers.are_processes else max(1, len(pending))
    num_threads = 1 if workers.are_processes else os.cpu_count() or 1
    units = [pending[start : start + size] for start in range(0, len(pending), size)]
    num_frames = config.num_steps // config.save_every
    before = len(tasks) - len(pending)
    done = [(0, 0, 0)] * len(units)
    with Progress("simulate", len(tasks) * num_frames) as progress:

        def report(place: int, step: tuple[int, int, int]) -> None:
            done[place] = step
            accepted, redrawn, unfinished = map(sum, zip(*done, strict=True))
            accepted += before
            text = f"{accepted} of {len(tasks)} accepted, {redrawn} redrawn"
            progress.show(accepted * num_frames + unfinished, text)

        for _ in run_all(_simulate_some, [(config, directory, unit, num_threads) for unit in units], workers, report):
            pass


def _simulate_some(
    config: SimulationConfig, directory: Path, tasks: Sequence[tuple[str, int]], num_threads: int
) -> Generator[tuple[int, int, int]]:
    """Make some simulations; yields the numbers of accepted and refused draws, and of frames of unfinished ones.

    Those that a lost worker completed are kept.
    """
    pending = _pending(directory, tasks)
    if not pending:
        return
    lanes = Lanes(config, pending, num_groups=min(num_threads, -(-len(pending) // LANES_PER_GROUP)))
    num_accepted = len(tasks) - len(pending)
    for attempts in lanes.accepted():
        for attempt in attempts:
            save_trajectory(_path(directory, attempt.split, attempt.index, ".npy"), np.stack(attempt.frames))
            record = dataclasses.asdict(attempt.record())
            write_json(_path(directory, attempt.split, attempt.index, ".json"), record)
        num_accepted += len(attempts)
        yield num_accepted, lanes.num_redrawn, lanes.num_unfinished_frames


def _records(directory: Path, tasks: Sequence[tuple[str, int]]) -> tuple[Record, ...]:
    return tuple(Record.load(_path(directory, *task, ".json")) for task in tasks)


def _manifest(config: SimulationConfig, command: str, tasks: Sequence[tuple[str, int]], summary: Summary) -> Manifest:
    return Manifest(
        name="nbody",
        num_dimensions=config.num_dimensions,
        features=("mass", "charge"),
        length_unit="1",
        # 1e-7 * 1000 is 9.999999999999999e-05 in floating point; write 1e-4.
        time_between_frames=float(f"{config.time_step * config.save_every:.12g}"),
        splits={
            split: tuple(_path(Path(), *task, ".npy").as_posix() for task in tasks if task[0] == split)
            for split in SPLITS
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
