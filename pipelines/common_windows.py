"""Common windows of models that sample trajectories differently, so that they can be compared.

The models may differ in subsampling and in the number of observed frames T. In a common window every model observes
its own T frames up to the same last observed frame, and the predictions are compared at the stored frames that all
models predict.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import unwrap
from pipelines.config import DataConfig
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.side_files import edge_matrix
from pipelines.stored_trajectory import StoredTrajectory
from pipelines.window_counts import phase_starts

Array = npt.NDArray[np.float32]
_PARTICLES_PER_BATCH = 1024
_LARGEST_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Batch:
    """Windows of up to N particles, padded with zeros; float32, in the units of the dataset."""

    observed: dict[tuple[int, int], Array]
    """(subsample, T) -> the observed frames `[B, T, N, D]`; all end at the same stored frame."""
    features: Array
    """`[B, N, F]`."""
    mask: Array
    """`[B, N]`, 1 for real particles."""
    targets: Array
    """True positions at the common frames, `[B, T', N, D]`."""
    trajectories: npt.NDArray[np.int64]
    """Index of each window's trajectory in its split, `[B]`."""
    last_observed: npt.NDArray[np.int64]
    """Last observed stored frame of each window, `[B]`."""
    velocities: dict[tuple[int, int], Array] | None = None
    """(subsample, T) -> observed velocities `[B, T, N, D]`, in units of length per subsampled frame."""
    box: Array | None = None
    """Lattice vectors at the last observed frame, `[B, D, D]`. Positions are unwrapped."""
    edges: npt.NDArray[np.int32] | None = None
    """Types of bonds, `[B, N, N]`."""

    def inputs(self, config: DataConfig) -> dict[str, Any]:
        """Inputs of a model that was trained with `config`."""
        view = config.subsample, config.warm_up_steps
        inputs = {"positions": self.observed[view], "features": self.features, "mask": self.mask}
        velocities = None if self.velocities is None else self.velocities[view]
        optional = {"velocities": velocities, "box": self.box, "edges": self.edges}
        return inputs | {name: value for name, value in optional.items() if value is not None}


class CommonWindows:
    """The windows on which models of several `DataConfig`s can be compared.

    The reference is the first configuration with the coarsest subsampling. The windows are those of the reference, by
    file, phase and time, except where another model would have to observe frames before the first. The common frames
    are multiples of the least common multiple of all subsamplings, counted from the last observed frame, up to the
    end of the shortest rollout. With one configuration, windows and frames equal those of
    `pipelines.dataset.windows`.

    Args:
        configs: One or more configurations; `rotations` is ignored.

    Raises:
        UserError: The models predict no common frame.
    """

    def __init__(self, configs: Sequence[DataConfig]) -> None:
        self.reference = max(configs, key=lambda config: config.subsample)
        self.spacing = math.lcm(*(config.subsample for config in configs))
        """Number of stored frames between common frames."""
        self.num_steps = min(config.subsample * config.rollout_steps for config in configs) // self.spacing
        """Number of common frames per window (T')."""
        if self.num_steps == 0:
            spans = ", ".join(f"{config.rollout_steps} x {config.subsample}" for config in configs)
            raise UserError(
                f"`model` must name models that predict a common frame, which is every {self.spacing} stored frames. "
                f"Received rollouts of {spans} stored frames"
            )
        self.views = sorted({(config.subsample, config.warm_up_steps) for config in configs})
        """The different (subsample, T)."""
        self._files: dict[tuple[Path, str], tuple[Manifest, list[StoredTrajectory]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without open files, for other processes."""
        return self.__dict__ | {"_files": {}}

    @staticmethod
    def batch_size(num_particles: int) -> int:
        """Largest B of `batches`; fewer windows of more particles, so that memory is bounded."""
        return min(_LARGEST_BATCH, max(1, _PARTICLES_PER_BATCH // num_particles))

    def steps_of(self, config: DataConfig) -> slice:
        """Select the common frames among the predicted steps of a model."""
        stride = self.spacing // config.subsample
        return slice(stride - 1, stride * self.num_steps, stride)

    def last_observed(self, num_frames: int) -> npt.NDArray[np.int64]:
        """Last observed stored frames of the windows of one trajectory.

        Args:
            num_frames: Number of stored frames of the trajectory.
        """
        config = self.reference
        ends = []
        for start in phase_starts(config):
            length = len(range(start, num_frames, config.subsample))
            first_steps = np.arange(0, length - config.window_steps + 1, config.window_shift)
            ends.append(start + config.subsample * (first_steps + config.warm_up_steps - 1))
        reach = max(subsample * (steps - 1) for subsample, steps in self.views)
        frames = np.concatenate(ends).astype(np.int64)
        return frames[frames >= reach]

    def index(self, directory: Path, split: str) -> npt.NDArray[np.int64]:
        """Find all windows of a split.

        Args:
            directory: Directory of the dataset.
            split: Name of the split.

        Returns:
            (index of the trajectory in the split, last observed frame) `[W, 2]`.

        Raises:
            UserError: As `pipelines.dataset.windows`, or there is no common window.
        """
        _, trajectories = self._opened(directory, split)
        parts = [
            np.stack(np.broadcast_arrays(np.int64(number), self.last_observed(len(trajectory))), axis=-1)
            for number, trajectory in enumerate(trajectories)
        ]
        index = np.concatenate(parts)
        if len(index) == 0:
            raise UserError(f"{directory}: the split {split!r} has no window with the observed frames of all models")
        return index

    def _opened(self, directory: Path, split: str) -> tuple[Manifest, list[StoredTrajectory]]:
        """The manifest and the files of a split; the headers of thousands of files are read once."""
        key = Path(directory), split
        if key not in self._files:
            manifest = Manifest.load(directory)
            self._files[key] = manifest, open_split(manifest, Path(directory), split, self.reference)
        return self._files[key]

    def size_of_batches(self, directory: Path, split: str) -> int:
        """B of all batches of a split but the last."""
        return self.batch_size(max(trajectory.shape[1] for trajectory in self._opened(directory, split)[1]))

    def batches(self, directory: Path, split: str, index: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """Read windows in the given order, batch by batch: memory does not grow with the split.

        Args:
            directory: Directory of the dataset.
            split: Name of the split.
            index: Rows of the result of `index`.
        """
        manifest, trajectories = self._opened(directory, split)
        num_particles = max(trajectory.shape[1] for trajectory in trajectories)
        size = self.size_of_batches(directory, split)
        for start in range(0, len(index), size):
            yield self._batch(manifest, trajectories, index[start : start + size], num_particles)

    def _batch(
        self,
        manifest: Manifest,
        trajectories: list[StoredTrajectory],
        rows: npt.NDArray[np.int64],
        num_particles: int,
    ) -> Batch:
        size = manifest.num_dimensions
        steps = [subsample * np.arange(1 - steps, 1) for subsample, steps in self.views]
        future = self.spacing * np.arange(1, self.num_steps + 1)
        offsets = np.unique(np.concatenate([*steps, future]))
        columns = np.zeros((len(rows), len(offsets), num_particles, manifest.num_columns), np.float32)
        chosen = [trajectories[number] for number in rows[:, 0]]
        for window, (trajectory, end) in enumerate(zip(chosen, rows[:, 1], strict=True)):
            columns[window, :, : trajectory.shape[1]] = read_unwrapped(trajectory, end + offsets, size)
        features, velocities = _split_columns(columns[..., size:], manifest)

        def at(values: Array, wanted: npt.NDArray[np.int64]) -> Array:
            return values[:, np.searchsorted(offsets, wanted)]

        counts = np.array([trajectory.shape[1] for trajectory in chosen])
        return Batch(
            observed={view: at(columns[..., :size], frames) for view, frames in zip(self.views, steps, strict=True)},
            features=at(features, np.zeros(1, np.int64))[:, 0],
            mask=(np.arange(num_particles) < counts[:, None]).astype(np.float32),
            targets=at(columns[..., :size], future),
            trajectories=rows[:, 0],
            last_observed=rows[:, 1],
            velocities=None
            if velocities is None
            else {
                view: at(velocities, frames) * np.float32(manifest.time_between_frames * view[0])
                for view, frames in zip(self.views, steps, strict=True)
            },
            box=_boxes_at(chosen, rows[:, 1]),
            edges=_dense_edges(chosen, num_particles),
        )


def read_unwrapped(trajectory: StoredTrajectory, frames: npt.NDArray[np.int64], num_dimensions: int) -> Array:
    """Frames `[len(frames), N, D + F]` in order; in a periodic box, unwrapped from the first of them."""
    if trajectory.boxes is None:
        return trajectory[frames]
    every = slice(frames[0], frames[-1] + 1)  # particles are followed from stored frame to stored frame
    stored = trajectory[every]
    boxes = trajectory.boxes[0] if len(trajectory.boxes) == 1 else trajectory.boxes[every]
    stored[..., :num_dimensions] = unwrap(stored[..., :num_dimensions], boxes)
    return stored[frames - frames[0]]


def _split_columns(columns: Array, manifest: Manifest) -> tuple[Array, Array | None]:
    """Columns `[..., F + D]` as features `[..., F]` and observed velocities `[..., D]`, if there are any."""
    start = manifest.velocity_start
    if start is None:
        return columns, None
    end = start + manifest.num_dimensions
    return np.concatenate([columns[..., :start], columns[..., end:]], axis=-1), columns[..., start:end]


def _boxes_at(trajectories: list[StoredTrajectory], frames: npt.NDArray[np.int64]) -> Array | None:
    """Lattice vectors `[B, D, D]` at one frame of each window."""
    boxes = [
        trajectory.boxes[min(frame, len(trajectory.boxes) - 1)]
        for trajectory, frame in zip(trajectories, frames, strict=True)
        if trajectory.boxes is not None
    ]
    return np.stack(boxes).astype(np.float32) if boxes else None


def _dense_edges(trajectories: list[StoredTrajectory], num_particles: int) -> npt.NDArray[np.int32] | None:
    """Types of bonds `[B, N, N]`, symmetric, 0 for none."""
    if any(trajectory.edges is None for trajectory in trajectories):
        return None
    return np.stack([edge_matrix(np.asarray(trajectory.edges), num_particles) for trajectory in trajectories])
