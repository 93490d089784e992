"""Simulated nanoparticles on disk, one PDB file per frame; a killed run resumes.

A directory holds `nanoparticle.json` (the configuration, written first) and for each simulation
`radial_distances/00000.json` and then `simulations/00000/` with its frames. The latter is filled under another name and
renamed: a simulation is complete or not there, and one that was interrupted starts again.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_json
from pipelines.molecules.nanoparticle.beads import GROUPS, Beads, build
from pipelines.molecules.nanoparticle.config import NanoparticleConfig
from pipelines.molecules.nanoparticle.dynamics import simulate
from pipelines.molecules.nanoparticle.hint import prepare_command
from pipelines.molecules.nanoparticle.pdb_writer import pdb_text
from pipelines.output_directory import claim
from pipelines.progress import Progress

CONFIG_FILE = "nanoparticle.json"
SIMULATIONS, DISTANCES = "simulations", "radial_distances"


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
    """Mean distance of the beads of each of `GROUPS` from the centre of the core `[simulations, frames, 4]`, in nm."""

    def __str__(self) -> str:
        config = self.config
        last = config.num_frames - 1
        chosen = sorted({0, last // 4, last // 2, 3 * last // 4, last})
        plural = "s" if config.num_simulations > 1 else ""
        lines = [
            f"{self.directory}: {config.num_simulations} simulation{plural} of {self.num_beads} beads, "
            f"{config.num_frames} frames {config.time_between_frames:g} ps apart, {config.drug} drug",
            "a coarse-grained stand-in: its times and distances are not those of a real nanoparticle",
            f"mean distance from the centre of the core (nm) at frames {', '.join(map(str, chosen))}"
            + (" ± standard error over simulations:" if plural else ":"),
        ]
        mean = self.distances.mean(axis=0)
        error = self.distances.std(axis=0, ddof=1) / config.num_simulations**0.5 if plural else None
        for place, group in enumerate(GROUPS):
            values = ", ".join(
                f"{mean[frame, place]:.3f}" + ("" if error is None else f" ± {error[frame, place]:.3f}")
                for frame in chosen
            )
            lines.append(f"  {group}: {values}")
        return "\n".join([*lines, f"next: {prepare_command(config, self.directory / SIMULATIONS)}"])


def generate(config: NanoparticleConfig, directory: Path) -> Summary:
    """Simulate nanoparticles; the same call completes a run that was stopped.

    Args:
        config: What to simulate.
        directory: Directory of the files: new, empty, or begun with the same `config`.

    Returns:
        The summary.

    Raises:
        UserError: The directory holds something else or is in use, OpenMM is missing, or the time step is too long.
    """
    directory = Path(directory)
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    with (
        claim(directory, CONFIG_FILE, values, "simulated nanoparticles"),
        Progress("nanoparticle", config.num_simulations * config.num_frames) as progress,
    ):
        for index in range(config.num_simulations):
            if not _folder(directory, index).exists():
                _generate_one(config, index, directory, progress)
    return Summary(directory, config, len(build(config, 0).names), _load_distances(config, directory))


def _folder(directory: Path, index: int) -> Path:
    return directory / SIMULATIONS / f"{index:05d}"


def _generate_one(config: NanoparticleConfig, index: int, directory: Path, progress: Progress) -> None:
    beads, final = build(config, index), _folder(directory, index)
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    digits, rows = len(str(config.num_frames - 1)), []
    for frame, positions in enumerate(simulate(config, beads, index)):
        text = pdb_text(beads, positions, frame, frame * config.time_between_frames)
        (partial / f"frame_{frame:0{digits}d}.pdb").write_text(text)
        rows.append(mean_distances(beads, positions))
        where = f"simulation {index + 1} of {config.num_simulations}, {frame + 1} frames"
        progress.show(index * config.num_frames + frame + 1, where)
    columns = np.array(rows).T.tolist()
    write_json(directory / DISTANCES / f"{index:05d}.json", dict(zip(GROUPS, columns, strict=True)))
    os.replace(partial, final)


def mean_distances(beads: Beads, positions: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Mean distance of the beads of each of `GROUPS` from the origin `[4]`, in the unit of the positions.

    Args:
        beads: The nanoparticle.
        positions: `[num_beads, 3]`.
    """
    distances = np.linalg.norm(positions, axis=1)
    molecules = np.array(beads.molecules)
    return np.array([distances[molecules == group].mean() for group in GROUPS])


def _load_distances(config: NanoparticleConfig, directory: Path) -> npt.NDArray[np.float64]:
    rows = []
    for index in range(config.num_simulations):
        values = json.loads((directory / DISTANCES / f"{index:05d}.json").read_text())
        rows.append(np.array([values[group] for group in GROUPS]).T)
    return np.array(rows)
