"""A dataset of charges in a box, made as by Kipf et al. 2018; the true velocities are stored beside the positions.

A directory holds `simulation.json` (the configuration, written first), `<split>/00000.npy` for every simulation,
`velocities/<split>/00000.npy` for every thousand simulations (float32 `[1000, num_frames, N, 2]`, written after the
thousand: they count once it exists), and `dataset.json` (written last). All are written under a temporary name and
renamed.
"""

import dataclasses
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.manifest import MANIFEST_FILE, Manifest
from pipelines.nbody.config import ChargedBoxConfig
from pipelines.nbody.forces import Array, couplings
from pipelines.nbody.initial_conditions import SPLITS, InitialState, generator
from pipelines.npy_files import save_chunks, save_trajectory
from pipelines.output_directory import check_claim, claim
from pipelines.progress import Progress

CONFIG_FILE = "simulation.json"
SIMULATIONS_PER_CHUNK = 1000
_NUM_DIMENSIONS = 2


@dataclasses.dataclass(frozen=True)
class Extremes:
    """Smallest and largest coordinate and velocity component of a training split: the units of published errors."""

    position_min: float
    position_max: float
    velocity_min: float
    velocity_max: float

    @classmethod
    def of(cls, manifest: Manifest) -> "Extremes":
        """Read the extremes that `simulate` stored in a manifest.

        Raises:
            UserError: The manifest has none.
        """
        extremes = manifest.provenance.get("training_extremes")
        if not isinstance(extremes, dict):
            raise UserError(f"{manifest.name}: no `training_extremes` in the provenance; expected charges in a box")
        return cls(**extremes)


def draw(rng: np.random.Generator, config: ChargedBoxConfig) -> InitialState:
    """Draw one system.

    Coordinates are N(0, `position_spread`^2), directions uniform, speeds `speed`, charges -1 or +1, masses 1.

    Args:
        rng: Source of random numbers.
        config: The system.

    Returns:
        Positions and velocities `[N, 2]`, masses and charges `[N]`.
    """
    shape = config.num_particles, _NUM_DIMENSIONS
    positions = rng.normal(0.0, config.position_spread, shape)
    velocities = rng.normal(size=shape)
    velocities *= config.speed / np.linalg.norm(velocities, axis=1, keepdims=True)
    charges = rng.choice([-1.0, 1.0], config.num_particles)
    return InitialState(positions, velocities, np.ones(config.num_particles), charges)


def simulate(config: ChargedBoxConfig, directory: Path, *, command: str) -> Manifest:
    """Simulate a dataset; a call with the same arguments resumes an interrupted one.

    A trajectory is float32 `[num_frames, N, 3]`: positions and charge; frame f is the state after step
    (f + 1) `save_every`. A simulation depends on seed, split and index only.

    Args:
        config: The system, the numbers of simulations and the seed.
        directory: Directory of the dataset: new, empty, or a dataset of the same `config`.
        command: The command, for the provenance in `dataset.json`.

    Returns:
        The manifest.

    Raises:
        UserError: `directory` holds something else or is in use.
    """
    directory = Path(directory)
    place = directory, CONFIG_FILE, dataclasses.asdict(config), "a dataset of charges in a box"
    if check_claim(*place) and (directory / MANIFEST_FILE).exists():
        return Manifest.load(directory)
    with claim(*place):
        _simulate_pending(config, directory)
        manifest = _manifest(config, command, _extremes(config, directory))
        manifest.save(directory)
    return manifest


def _simulate_pending(config: ChargedBoxConfig, directory: Path) -> None:
    total = sum(_count(config, split) for split in SPLITS)
    done = 0
    with Progress("simulate", total, unit="simulation") as progress:
        for split in SPLITS:
            for chunk in _chunks(config, split):
                if not _velocity_file(directory, split, chunk).exists():
                    _simulate_chunk(config, directory, split, chunk)
                done += len(chunk)
                progress.show(done, f"{done} of {total} simulations")


def load_velocities(directory: Path, split: str) -> npt.NDArray[np.float32]:
    """Load the true velocities of a split in the order of its files.

    Args:
        directory: A dataset that `simulate` made.
        split: Name of the split.

    Returns:
        `[S, num_frames, N, 2]`, in length units per time unit.

    Raises:
        UserError: The dataset has no velocities.
    """
    files = sorted((Path(directory) / "velocities" / split).glob("*.npy"))
    if not files:
        raise UserError(f"{directory}: no velocities of the split {split!r}; expected charges in a box")
    return np.concatenate([np.load(file) for file in files])


def load_trajectories(directory: Path, split: str) -> npt.NDArray[np.float32]:
    """Load positions and charges of a split in the order of its files: `[S, num_frames, N, 3]`."""
    files = Manifest.load(directory).splits[split]
    return np.stack([np.load(Path(directory) / file) for file in files])


def _simulate_chunk(config: ChargedBoxConfig, directory: Path, split: str, chunk: range) -> None:
    from pipelines.nbody.box_integrator import advance, reflect

    states = [draw(generator(config.seed, split, index, 0), config) for index in chunk]
    # With a fixed number of systems XLA compiles once and the bytes do not depend on the other systems.
    states += states[:1] * (SIMULATIONS_PER_CHUNK - len(states))
    charges = np.stack([state.charges for state in states])
    start = reflect(
        np.stack([state.positions.T for state in states], axis=-1),
        np.stack([state.velocities.T for state in states], axis=-1),
        config.half_width,
    )
    weights = [couplings(np.ones_like(q), q, config.coulomb_constant, 0.0) for q in charges]
    frames = advance(
        *start,
        np.stack(weights, axis=-1),
        max_force=config.max_force,
        half_width=config.half_width,
        time_step=config.time_step,
        num_steps=config.save_every,
        num_frames=_num_frames(config, split),
    )
    positions, velocities = (_by_system(values)[: len(chunk)] for values in frames)
    for index, trajectory, charge in zip(chunk, positions, charges, strict=False):
        column = np.broadcast_to(charge[:, None], (*trajectory.shape[:-1], 1))
        save_trajectory(directory / _file(split, index), np.concatenate([trajectory, column], axis=-1))
    save_chunks(_velocity_file(directory, split, chunk), velocities.shape, [velocities])


def _by_system(frames: Array) -> npt.NDArray[np.float32]:
    """`[T, D, N, S]` -> `[S, T, N, D]`."""
    return frames.transpose(3, 0, 2, 1).astype(np.float32)


def _extremes(config: ChargedBoxConfig, directory: Path) -> Extremes:
    paths = [directory / _file("train", index) for index in range(config.num_train)]
    positions = [np.load(path)[..., :_NUM_DIMENSIONS] for path in paths]
    velocities = load_velocities(directory, "train")
    return Extremes(
        float(min(values.min() for values in positions)),
        float(max(values.max() for values in positions)),
        float(velocities.min()),
        float(velocities.max()),
    )


def _manifest(config: ChargedBoxConfig, command: str, extremes: Extremes) -> Manifest:
    return Manifest(
        name="charged-box",
        num_dimensions=_NUM_DIMENSIONS,
        features=("charge",),
        length_unit="1",
        time_between_frames=float(f"{config.time_step * config.save_every:.12g}"),
        splits={
            split: tuple(_file(split, index).as_posix() for index in range(_count(config, split))) for split in SPLITS
        },
        provenance={
            "seed": config.seed,
            "command": command,
            "version": version("socialmd_tf"),
            "config": dataclasses.asdict(config),
            "training_extremes": dataclasses.asdict(extremes),
        },
    )


def _count(config: ChargedBoxConfig, split: str) -> int:
    count: int = getattr(config, f"num_{split}")
    return count


def _num_frames(config: ChargedBoxConfig, split: str) -> int:
    return config.num_test_frames if split == "test" else config.num_frames


def _chunks(config: ChargedBoxConfig, split: str) -> Iterator[range]:
    count = _count(config, split)
    for start in range(0, count, SIMULATIONS_PER_CHUNK):
        yield range(start, min(start + SIMULATIONS_PER_CHUNK, count))


def _file(split: str, index: int) -> Path:
    return Path(split) / f"{index:05d}.npy"


def _velocity_file(directory: Path, split: str, chunk: range) -> Path:
    return directory / "velocities" / split / f"{chunk.start:05d}.npy"
