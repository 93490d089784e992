"""Simulated nanoparticles on disk, one PDB file per frame; a killed run resumes.

A directory holds `nanoparticle.json` (the configuration, written first) and for each simulation
`radial_distances/00000.json`, `states/00000.npy` (from which it can be restarted, see `reruns.py`) and then
`simulations/00000/` with its frames. The latter is filled under another name and renamed: a simulation is complete or
not there, and one that was interrupted starts again.
"""

import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_atomically, write_json
from pipelines.counts import counted
from pipelines.molecules.nanoparticle.beads import GROUPS, Beads, build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.dynamics import Snapshot, State, is_stored, simulate
from pipelines.molecules.nanoparticle.hint import prepare_command
from pipelines.molecules.nanoparticle.pdb_writer import pdb_text
from pipelines.output_directory import claim, defaults_of
from pipelines.progress import Progress
from pipelines.workers import HERE, Workers, run_all

CONFIG_FILE = "nanoparticle.json"
SIMULATIONS, DISTANCES, STATES = "simulations", "radial_distances", "states"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The contents of a directory of simulations; `str` gives the report for the user."""

    directory: Path
    """The directory."""
    config: NanoparticleConfig
    """Its configuration."""
    num_beads: int
    """Beads per nanoparticle, including gold."""
    distances: npt.NDArray[np.float64]
    """Mean distance of the beads of each of the `GROUPS` of its drug from the centre of the core `[simulations,
    frames, 4]`, in nm."""

    def __str__(self) -> str:
        config = self.config
        last = config.num_frames - 1
        chosen = sorted({0, last // 4, last // 2, 3 * last // 4, last})
        lines = [
            f"{self.directory}: {counted(config.num_simulations, 'simulation')} of {self.num_beads} beads, "
            f"{config.num_frames} frames {config.time_between_frames:g} ps apart",
            "a coarse-grained stand-in: its times and distances are not those of a real nanoparticle",
        ]
        for drug in config.drugs:
            lines += self._distance_lines(drug, chosen)
        return "\n".join([*lines, f"next: {prepare_command(config, self.directory / SIMULATIONS)}"])

    def _distance_lines(self, drug: str, frames: list[int]) -> list[str]:
        ours = [self.config.drug_of(index) == drug for index in range(self.config.num_simulations)]
        count = sum(ours)
        if not count:
            return []
        values = self.distances[ours][:, frames]
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / count**0.5 if count > 1 else None
        title = f"{count} with {drug} drug, mean distance from the centre of the core (nm) at frames "
        lines = [f"{title}{', '.join(map(str, frames))}" + (":" if error is None else " ± standard error:")]
        for place, group in enumerate(GROUPS[drug]):
            texts = [
                f"{mean[frame, place]:.3f}" + ("" if error is None else f" ± {error[frame, place]:.3f}")
                for frame in range(len(frames))
            ]
            lines.append(f"  {group}: {', '.join(texts)}")
        return lines


def generate(config: NanoparticleConfig, directory: Path, workers: Workers = HERE) -> Summary:
    """Simulate nanoparticles; the same call completes a run that was stopped.

    Args:
        config: What to simulate.
        directory: Directory of the files: new, empty, or begun with the same `config`.
        workers: Where each simulation is made. The files do not depend on it.

    Returns:
        The summary.

    Raises:
        UserError: The directory holds something else or is in use, OpenMM is missing, or the time step is too long.
    """
    directory = Path(directory)
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    with claim(directory, CONFIG_FILE, values, "simulated nanoparticles", defaults_of(NanoparticleConfig)):
        missing = [index for index in range(config.num_simulations) if not _folder(directory, index).exists()]
        tasks = [(config, index, directory) for index in missing]
        with Progress("nanoparticle", config.num_simulations * config.num_frames) as progress:
            before = (config.num_simulations - len(missing)) * config.num_frames
            done = dict.fromkeys(range(len(missing)), 0)

            def report(place: int, num_frames: int) -> None:
                done[place] = num_frames
                where = f"simulation {missing[place] + 1} of {config.num_simulations}, {counted(num_frames, 'frame')}"
                progress.show(before + sum(done.values()), where)

            for _ in run_all(_generate_one, tasks, workers, report):
                pass
    return Summary(directory, config, len(build(config, 0).names), _load_distances(config, directory))


def _folder(directory: Path, index: int) -> Path:
    return directory / SIMULATIONS / f"{index:05d}"


def states_file(directory: Path, index: int) -> Path:
    """The file with the stored states of a simulation, float64 `[num_states, 2, n, 3]`: positions and velocities."""
    return directory / STATES / f"{index:05d}.npy"


def frame_file(config: NanoparticleConfig, frame: int) -> str:
    """Name of the file of a frame."""
    return f"frame_{frame:0{len(str(config.num_frames - 1))}d}.pdb"


def _generate_one(config: NanoparticleConfig, index: int, directory: Path) -> Generator[int]:
    """Write one simulation; yields the number of its frames."""
    beads = build(config, index)
    groups, rows, states = GROUPS[config.drug_of(index)], [], []

    def noted() -> Iterator[Snapshot]:
        for snapshot in simulate(config, beads, index):
            rows.append(mean_distances(beads, groups, snapshot.positions))
            if is_stored(snapshot.frame):
                states.append(snapshot.state)
            yield snapshot
        columns = np.array(rows).T.tolist()
        write_json(directory / DISTANCES / f"{index:05d}.json", dict(zip(groups, columns, strict=True)))
        _save_states(states_file(directory, index), states)

    yield from write_frames(config, beads, noted(), _folder(directory, index))


def write_frames(
    config: NanoparticleConfig, beads: Beads, snapshots: Iterable[Snapshot], folder: Path
) -> Iterator[int]:
    """Write frames as PDB files into a folder that is there only when all of them are.

    Args:
        config: Names and times of the frames.
        beads: The nanoparticle.
        snapshots: The frames.
        folder: The folder. One that was completed in the meantime, by a worker that was thought lost, stays.

    Yields:
        The number of frames written so far.
    """
    # `claim` removes folders of this name that a killed run left.
    partial = folder.with_name(f".{folder.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for count, snapshot in enumerate(snapshots, start=1):
        text = pdb_text(beads, snapshot.positions, snapshot.frame, snapshot.frame * config.time_between_frames)
        (partial / frame_file(config, snapshot.frame)).write_text(text)
        yield count
    try:
        os.replace(partial, folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)


def _save_states(path: Path, states: list[State]) -> None:
    """Write states, see `states_file`."""
    values = np.array([(state.positions, state.velocities) for state in states])
    write_atomically(path, lambda file: np.save(file, values))


def mean_distances(beads: Beads, groups: Iterable[str], positions: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Mean distance of the beads of each group from the origin `[len(groups)]`, in the unit of the positions.

    Args:
        beads: The nanoparticle.
        groups: Names of molecules.
        positions: `[num_beads, 3]`.
    """
    distances = np.linalg.norm(positions, axis=1)
    molecules = np.array(beads.molecules)
    return np.array([distances[molecules == group].mean() for group in groups])


def _load_distances(config: NanoparticleConfig, directory: Path) -> npt.NDArray[np.float64]:
    rows = []
    for index in range(config.num_simulations):
        values = json.loads((directory / DISTANCES / f"{index:05d}.json").read_text())
        rows.append(np.array([values[group] for group in GROUPS[config.drug_of(index)]]).T)
    return np.array(rows)
