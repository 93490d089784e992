"""Simulated nanoparticles that are run again from one of their frames, with other random numbers.

How far such re-runs differ from their simulation is how far anything can predict it. A directory holds
`restart.json` (the configuration, written first), for each re-run `simulations/00003_024_00/` with its frames (of
simulation 3, from frame 24 on, number 0), and `reruns.json` (written last), which `prepare --reruns` takes.
"""

import dataclasses
import json
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.atomic_files import write_json
from pipelines.counts import counted
from pipelines.errors import UserError, require
from pipelines.molecules.nanoparticle.beads import Beads, build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.dynamics import Snapshot, State, is_stored, rerun
from pipelines.molecules.nanoparticle.generate import CONFIG_FILE, SIMULATIONS, frame_file, states_file, write_frames
from pipelines.molecules.nanoparticle.pdb_writer import pdb_text
from pipelines.output_directory import claim
from pipelines.progress import Progress
from pipelines.workers import HERE, Workers, run_all

RESTART_FILE, RERUNS_FILE = "restart.json", "reruns.json"


@dataclasses.dataclass(frozen=True)
class RestartConfig:
    """Which simulations to run again, and how often."""

    restart_from: tuple[Path, ...] = ()
    """Simulations to run again instead of new ones, such as data/nanoparticles/simulations/00003.
    Their directory has their configuration: of the other flags, only --output, --workers and --scheduler count."""
    frame: int | None = None
    """The frame at which to restart, from 0: the last one that a model observes. Required with --restart-from."""
    num_reruns: int = 8
    """Re-runs of each simulation."""
    rerun_seed: int | None = None
    """Seed of the first re-run; the next one has the next seed. By default, that of the simulation and 1.
    A re-run with the seed of the simulation repeats the simulation."""

    def __post_init__(self) -> None:
        """Check every field."""
        require(self.num_reruns >= 1, "num_reruns", "at least 1", self.num_reruns)
        require(self.frame is None or self.frame >= 0, "frame", "at least 0", self.frame)
        given = bool(self.restart_from)
        require((self.frame is not None) == given, "frame", "given with `--restart-from`, and only then", self.frame)
        seed = self.rerun_seed
        require(seed is None or 0 <= seed < 2**31, "rerun_seed", "at least 0 and below 2^31", seed)


@dataclasses.dataclass(frozen=True)
class _Original:
    """A simulation to run again."""

    folder: Path
    directory: Path
    index: int
    config: NanoparticleConfig


@dataclasses.dataclass(frozen=True)
class RerunSummary:
    """The contents of a directory of re-runs; `str` gives the report for the user."""

    directory: Path
    """The directory."""
    num_simulations: int
    """Number of simulations that were run again."""
    config: RestartConfig
    """Its configuration."""

    def __str__(self) -> str:
        each = "each of " if self.num_simulations > 1 else ""
        return (
            f"{self.directory}: {counted(self.config.num_reruns, 're-run')} of "
            f"{each}{counted(self.num_simulations, 'simulation')} from frame {self.config.frame} on\n"
            f"next: the `prepare` command of the simulations, with --reruns {self.directory / RERUNS_FILE}"
        )


def generate_reruns(config: RestartConfig, directory: Path, workers: Workers = HERE) -> RerunSummary:
    """Run simulations of nanoparticles again; the same call completes a run that was stopped.

    Args:
        config: What to run again.
        directory: Directory of the files: new, empty, or begun with the same `config`.
        workers: As for `generate`.

    Returns:
        The summary.

    Raises:
        UserError: A simulation was not made by `generate` or has too few frames, the directory holds something else or
            is in use, OpenMM is missing, or this machine does not repeat the motion up to `frame`.
    """
    directory, frame = Path(directory), config.frame or 0
    originals = [_find(Path(folder), frame) for folder in config.restart_from]
    numbers = [original.index for original in originals]
    require(len(set(numbers)) == len(numbers), "restart_from", "simulations of different numbers", numbers)
    with claim(directory, RESTART_FILE, _as_json(config, originals), "re-runs of simulated nanoparticles"):
        places = {
            _folder(directory, original, frame, number): (original, number)
            for original in originals
            for number in range(config.num_reruns)
        }
        tasks = [
            (original, frame, _seed(config, original, number), folder)
            for folder, (original, number) in places.items()
            if not folder.exists()
        ]
        total = sum(task[0].config.num_frames - frame for task in tasks)
        done = dict.fromkeys(range(len(tasks)), 0)
        with Progress("nanoparticle", total) as progress:

            def report(place: int, num_frames: int) -> None:
                done[place] = num_frames
                progress.show(sum(done.values()), f"re-run {place + 1} of {len(tasks)}, {counted(num_frames, 'frame')}")

            for _ in run_all(_rerun_one, tasks, workers, report):
                pass
        write_json(directory / RERUNS_FILE, _listed(directory, places, frame))
    return RerunSummary(directory, len(originals), config)


def _find(folder: Path, frame: int) -> _Original:
    """Read the configuration of a simulation."""
    directory = folder.absolute().parent.parent
    rule = "simulations that `nanoparticle` made, such as DIR/simulations/00000"
    ours = folder.is_dir() and folder.absolute().parent.name == SIMULATIONS and folder.name.isdigit()
    require(ours and (directory / CONFIG_FILE).is_file(), "restart_from", rule, str(folder))
    try:
        values = json.loads((directory / CONFIG_FILE).read_text())
        config = NanoparticleConfig(**{**values, "drug_fractions": tuple(values["drug_fractions"])})
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{directory / CONFIG_FILE}: not the configuration of simulated nanoparticles") from None
    last = config.num_frames - 2
    require(frame <= last, "frame", f"at most {last}, so that a frame of {folder} follows", frame)
    index = int(folder.name)
    if not states_file(directory, index).is_file():
        raise UserError(f"{states_file(directory, index)}: no such file; expected the states of {folder}")
    return _Original(folder, directory, index, config)


def _as_json(config: RestartConfig, originals: Sequence[_Original]) -> dict[str, Any]:
    values = dataclasses.asdict(config) | {"restart_from": [str(original.folder) for original in originals]}
    simulations = [dataclasses.asdict(original.config) for original in originals]
    result: dict[str, Any] = json.loads(json.dumps(values | {"simulations": simulations}))
    return result


def _folder(directory: Path, original: _Original, frame: int, number: int) -> Path:
    return directory / SIMULATIONS / f"{original.index:05d}_{frame:03d}_{number:02d}"


def _seed(config: RestartConfig, original: _Original, number: int) -> int:
    first = original.config.seed + 1 if config.rerun_seed is None else config.rerun_seed
    return first + number


def _rerun_one(original: _Original, frame: int, seed: int, folder: Path) -> Generator[int]:
    """Write one re-run; yields the number of its frames."""
    config, index = original.config, original.index
    beads = build(config, index)
    stored = max(each for each in range(frame + 1) if is_stored(each))
    place = sum(map(is_stored, range(stored)))
    positions, velocities = np.load(states_file(original.directory, index), mmap_mode="r")[place]
    state = State(np.array(positions), np.array(velocities))
    snapshots = _checked(original, beads, rerun(config, beads, index, state, stored, frame, seed))
    yield from write_frames(config, beads, snapshots, folder)


def _checked(original: _Original, beads: Beads, snapshots: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """The frames, of which the first must be that of the simulation."""
    first = next(snapshots)
    config, frame = original.config, first.frame
    path = original.folder / frame_file(config, frame)
    if path.read_text() != pdb_text(beads, first.positions, frame, frame * config.time_between_frames):
        raise UserError(
            f"{path}: this machine does not repeat the motion up to frame {frame}; expected a `--frame` whose state is "
            "stored: 0, 4, 9, 14, ..."
        )
    yield first
    yield from snapshots


def _listed(directory: Path, places: dict[Path, tuple[_Original, int]], frame: int) -> dict[str, Any]:
    """File -> the simulation and the frame that it restarts, by paths relative to `reruns.json`."""
    return {
        folder.relative_to(directory).as_posix(): {
            "of": Path(os.path.relpath(original.folder.absolute(), directory.absolute())).as_posix(),
            "frame": frame,
        }
        for folder, (original, _) in places.items()
    }
