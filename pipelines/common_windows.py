"""Common windows of models that sample trajectories differently, so that they can be compared.

The models may differ in subsampling and in the number of observed frames T. In a common window every model observes
its own T frames up to the same last observed frame, and the predictions are compared at the stored frames that all
models predict.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.config import DataConfig
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.npy_files import StoredTrajectory
from pipelines.windows import phase_starts

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

    def inputs(self, config: DataConfig) -> dict[str, Array]:
        """Inputs of a model that was trained with `config`."""
        positions = self.observed[config.subsample, config.warm_up_steps]
        return {"positions": positions, "features": self.features, "mask": self.mask}


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
        trajectories = open_split(Manifest.load(directory), Path(directory), split, self.reference)
        parts = [
            np.stack(np.broadcast_arrays(np.int64(number), self.last_observed(len(trajectory))), axis=-1)
            for number, trajectory in enumerate(trajectories)
        ]
        index = np.concatenate(parts)
        if len(index) == 0:
            raise UserError(f"{directory}: the split {split!r} has no window with the observed frames of all models")
        return index

    def batches(self, directory: Path, split: str, index: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """Read windows in the given order, batch by batch: memory does not grow with the split.

        Args:
            directory: Directory of the dataset.
            split: Name of the split.
            index: Rows of the result of `index`.
        """
        manifest = Manifest.load(directory)
        trajectories = open_split(manifest, Path(directory), split, self.reference)
        num_particles = max(trajectory.shape[1] for trajectory in trajectories)
        size = self.batch_size(num_particles)
        for start in range(0, len(index), size):
            yield self._batch(trajectories, index[start : start + size], num_particles, manifest.num_dimensions)

    def _batch(
        self,
        trajectories: list[StoredTrajectory],
        rows: npt.NDArray[np.int64],
        num_particles: int,
        num_dimensions: int,
    ) -> Batch:
        def gather(offsets: npt.NDArray[np.int64]) -> Array:
            """Read frames at offsets from the last observed one: `[B, len(offsets), N, D + F]`."""
            shape = (len(rows), len(offsets), num_particles, trajectories[0].shape[2])
            frames = np.zeros(shape, np.float32)
            for window, (number, end) in enumerate(rows):
                trajectory = trajectories[number]
                frames[window, :, : trajectory.shape[1]] = trajectory.read(end + offsets)
            return frames

        counts = np.array([trajectories[number].shape[1] for number in rows[:, 0]])
        observed = {
            (subsample, steps): gather(subsample * np.arange(1 - steps, 1))[..., :num_dimensions]
            for subsample, steps in self.views
        }
        return Batch(
            observed=observed,
            features=gather(np.zeros(1, np.int64))[:, 0, :, num_dimensions:],
            mask=(np.arange(num_particles) < counts[:, None]).astype(np.float32),
            targets=gather(self.spacing * np.arange(1, self.num_steps + 1))[..., :num_dimensions],
            trajectories=rows[:, 0],
            last_observed=rows[:, 1],
        )
