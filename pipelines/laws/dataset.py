"""A dataset simulated under a law; a run that was stopped resumes.

A directory holds `simulation.json` (the configuration, written first), `<split>/00000.npy` for every simulation
(positions, velocities if they are asked for, the charge where there is one; `<split>/00000.edges.npy` beside it where
the law has bonds, written before it), and `dataset.json` (written last). In a periodic box positions are stored
unwrapped.
"""

import dataclasses
from collections.abc import Generator, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically
from pipelines.laws.config import CoulombConfig, LawConfig, SpringsConfig
from pipelines.laws.simulate import law_of, name_of, simulate
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.nbody.initial_conditions import SPLITS, generator
from pipelines.npy_files import save_trajectory
from pipelines.output_directory import check_claim, claim, defaults_of
from pipelines.progress import Progress
from pipelines.workers import HERE, Workers, run_all

CONFIG_FILE = "simulation.json"
_MOST_SIMULATIONS = 20
"""Simulations integrated side by side; those that are not finished are lost if the command is killed."""
_MOST_PARTICLES = 4096
"""Of these simulations together, unless one alone has more."""


def write_dataset(config: LawConfig, directory: Path, *, command: str, workers: Workers = HERE) -> Manifest:
    """Simulate a dataset; a call with the same arguments resumes an interrupted one.

    A simulation depends on seed, split and index only: a larger dataset begins with the simulations of a smaller one.

    Args:
        config: The law, the numbers of simulations and the seed.
        directory: Directory of the dataset: new, empty, or a dataset of the same `config`.
        command: The command, for the provenance in `dataset.json`.
        workers: Where the simulations are made, by default here.

    Returns:
        The manifest.

    Raises:
        UserError: `directory` holds something else or is in use, or the time step is too long.
    """
    directory, name = Path(directory), name_of(config)
    settings, defaults = {"law": name, **dataclasses.asdict(config)}, defaults_of(type(config))
    place = directory, CONFIG_FILE, settings, f"a dataset of the law {name}", defaults
    if check_claim(*place) and (directory / MANIFEST_FILE).exists() and not any(_pending(config, directory)):
        return Manifest.load(directory)
    with claim(*place):
        _simulate_pending(config, directory, workers)
        manifest = _manifest(config, command)
        manifest.save(directory)
    return manifest


def _simulate_pending(config: LawConfig, directory: Path, workers: Workers) -> None:
    total = config.num_train + config.num_validation + config.num_test
    units = [(config, directory, split, indices) for split, indices in _pending(config, directory)]
    done = total - sum(len(indices) for *_, indices in units)
    with Progress("simulate", total, unit="simulation") as progress:
        for (*_, indices), _ in zip(units, run_all(_simulate_chunk, units, workers), strict=True):
            done += len(indices)
            progress.show(done, f"{done} of {total} simulations")


def _simulate_chunk(config: LawConfig, directory: Path, split: str, indices: list[int]) -> Generator[int]:
    """Make simulations that are integrated side by side; yields their number."""
    simulations = simulate(config, [generator(config.seed, split, index, 0) for index in indices])
    frames = simulations.positions
    if config.velocities:
        frames = np.concatenate([frames, simulations.velocities], axis=-1)
    if _has_charges(config):
        columns = np.broadcast_to(simulations.charges[:, None, :, None], (*frames.shape[:-1], 1))
        frames = np.concatenate([frames, columns], axis=-1)
    for index, trajectory, edges in zip(indices, frames, simulations.edges, strict=True):
        if _has_bonds(config):
            _save_edges(directory / _edge_file(split, index), edges)
        save_trajectory(directory / _file(split, index), trajectory)
    yield len(indices)


def features_of(config: LawConfig) -> tuple[str, ...]:
    """Names of the columns after the positions."""
    velocities = [f"velocity_{axis}" for axis in "xyz"[: config.num_dimensions]] if config.velocities else []
    return (*velocities, *(["charge"] if _has_charges(config) else []))


def _save_edges(path: Path, edges: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
    """Rows of i, j and the type of the bond, i < j, int32 `[E, 3]`."""
    i, j = np.nonzero(np.triu(edges))
    rows = np.stack([i, j, edges[i, j]], axis=-1).astype(np.int32)
    write_atomically(path, lambda file: np.save(file, rows))


def _manifest(config: LawConfig, command: str) -> Manifest:
    files = {split: range(getattr(config, f"num_{split}")) for split in SPLITS}
    box = law_of(config).box(config)
    return Manifest(
        name=name_of(config),
        num_dimensions=config.num_dimensions,
        features=features_of(config),
        length_unit="1",
        time_between_frames=float(f"{config.time_step * config.save_every:.12g}"),
        splits={split: tuple(_file(split, index).as_posix() for index in indices) for split, indices in files.items()},
        provenance={
            "seed": config.seed,
            "command": command,
            "version": version("socialmd_tf"),
            "law": name_of(config),
            "config": dataclasses.asdict(config),
        },
        box=None if box is None else tuple(box.tolist()),
        edges={
            _file(split, index).as_posix(): _edge_file(split, index).as_posix()
            for split, indices in files.items()
            for index in indices
        }
        if _has_bonds(config)
        else None,
    )


def _has_bonds(config: LawConfig) -> bool:
    return isinstance(config, SpringsConfig)


def _has_charges(config: LawConfig) -> bool:
    return isinstance(config, CoulombConfig)


def _pending(config: LawConfig, directory: Path) -> Iterator[tuple[str, list[int]]]:
    """Simulations that are to be made, in chunks of one split."""
    for split in SPLITS:
        count = getattr(config, f"num_{split}")
        indices = [index for index in range(count) if not (directory / _file(split, index)).exists()]
        size = min(max(1, _MOST_PARTICLES // config.num_particles), _MOST_SIMULATIONS)
        for start in range(0, len(indices), size):
            yield split, indices[start : start + size]


def _file(split: str, index: int) -> Path:
    return Path(split) / f"{index:05d}.npy"


def _edge_file(split: str, index: int) -> Path:
    return Path(split) / f"{index:05d}.edges.npy"
