"""A dataset simulated under a law; a run that was stopped resumes.

A directory holds `simulation.json` (the configuration, written first), `<split>/00000.npy` for every simulation
(positions, then the charge where there is one; `<split>/00000.edges.npy` beside it where the law has bonds, written
before it), and `dataset.json` (written last). In a periodic box positions are stored unwrapped.
"""

import dataclasses
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipelines.atomic_files import write_atomically, write_json
from pipelines.laws.config import CoulombConfig, LawConfig, SpringsConfig
from pipelines.laws.simulate import law_of, name_of, simulate
from pipelines.manifest import FORMAT, MANIFEST_FILE
from pipelines.nbody.initial_conditions import SPLITS, generator
from pipelines.npy_files import save_trajectory
from pipelines.output_directory import claim
from pipelines.progress import Progress

CONFIG_FILE = "simulation.json"
_SIMULATIONS_PER_CHUNK = 20


def write_dataset(config: LawConfig, directory: Path, *, command: str) -> None:
    """Simulate a dataset, or complete one; a simulation is a function of seed, split and index alone.

    Args:
        config: The law, the numbers of simulations and the seed.
        directory: Where the dataset goes: new, empty, or a dataset of the same `config`.
        command: What the user called, for `dataset.json`.

    Raises:
        UserError: `directory` holds something else.
    """
    directory = Path(directory)
    name = name_of(config)
    claim(directory, CONFIG_FILE, {"law": name, **dataclasses.asdict(config)}, f"a dataset of {name}")
    if (directory / MANIFEST_FILE).exists():
        return
    total = config.num_train + config.num_validation + config.num_test
    done = 0
    with Progress("simulate", total, unit="simulation") as progress:
        for split, chunk in _chunks(config):
            pending = [index for index in chunk if not (directory / _file(split, index)).exists()]
            if pending:
                _simulate_chunk(config, directory, split, pending)
            done += len(chunk)
            progress.show(done, f"{done} of {total} simulations")
    write_json(directory / MANIFEST_FILE, _manifest(config, command))


def _simulate_chunk(config: LawConfig, directory: Path, split: str, indices: list[int]) -> None:
    simulations = simulate(config, [generator(config.seed, split, index, 0) for index in indices])
    frames = simulations.positions
    if _has_charges(config):
        columns = np.broadcast_to(simulations.charges[:, None, :, None], (*frames.shape[:-1], 1))
        frames = np.concatenate([frames, columns], axis=-1)
    for index, trajectory, edges in zip(indices, frames, simulations.edges, strict=True):
        if _has_bonds(config):
            _save_edges(directory / _edge_file(split, index), edges)
        save_trajectory(directory / _file(split, index), trajectory)


def _save_edges(path: Path, edges: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
    """Rows of i, j and the type of the bond, i < j, int32 `[E, 3]`."""
    i, j = np.nonzero(np.triu(edges))
    rows = np.stack([i, j, edges[i, j]], axis=-1).astype(np.int32)
    write_atomically(path, lambda file: np.save(file, rows))


def _manifest(config: LawConfig, command: str) -> dict[str, object]:
    counts = (config.num_train, config.num_validation, config.num_test)
    box = law_of(config).box(config)
    optional: dict[str, object] = {} if box is None else {"box": [float(side) for side in box]}
    if _has_bonds(config):
        optional["edges"] = {
            _file(split, index).as_posix(): _edge_file(split, index).as_posix()
            for split, chunk in _chunks(config)
            for index in chunk
        }
    return {
        "format": FORMAT,
        "name": name_of(config),
        "num_dimensions": config.num_dimensions,
        "features": ["charge"] if _has_charges(config) else [],
        "length_unit": "1",
        "time_between_frames": float(f"{config.time_step * config.save_every:.12g}"),
        "splits": {
            split: [_file(split, index).as_posix() for index in range(count)]
            for split, count in zip(SPLITS, counts, strict=True)
        },
        "provenance": {
            "seed": config.seed,
            "command": command,
            "version": version("socialmd_tf"),
            "law": name_of(config),
            "config": dataclasses.asdict(config),
        },
        **optional,
    }


def _has_bonds(config: LawConfig) -> bool:
    return isinstance(config, SpringsConfig)


def _has_charges(config: LawConfig) -> bool:
    return isinstance(config, CoulombConfig)


def _chunks(config: LawConfig) -> Iterator[tuple[str, range]]:
    for split in SPLITS:
        count = getattr(config, f"num_{split}")
        for start in range(0, count, _SIMULATIONS_PER_CHUNK):
            yield split, range(start, min(start + _SIMULATIONS_PER_CHUNK, count))


def _file(split: str, index: int) -> Path:
    return Path(split) / f"{index:05d}.npy"


def _edge_file(split: str, index: int) -> Path:
    return Path(split) / f"{index:05d}.edges.npy"
