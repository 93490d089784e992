"""Windows that several ways of sampling the same trajectories have in common, to judge them side by side.

Models that step by different numbers of stored frames, or observe a different number of them, are compared where
they meet: every window has one last observed frame, each model observes its own T frames that end there, and the
predictions count at the stored frames that all of them reach.
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
    """Windows side by side, systems of fewer than N particles padded with zeros; float32, in the data's units."""

    observed: dict[tuple[int, int], Array]
    """For every (subsample, T) the T observed frames `[B, T, N, D]`; all end at the same stored frame."""
    features: Array
    """`[B, N, F]`."""
    mask: Array
    """`[B, N]`, 1 for real particles."""
    targets: Array
    """True positions at the common frames `[B, T', N, D]`."""
    trajectories: npt.NDArray[np.int64]
    """Index of each window's trajectory within its split `[B]`."""
    last_observed: npt.NDArray[np.int64]
    """Stored frame that each window's observation ends with `[B]`."""

    def inputs(self, config: DataConfig) -> dict[str, Array]:
        """The input dictionary of a model that was trained with `config`."""
        positions = self.observed[config.subsample, config.warm_up_steps]
        return {"positions": positions, "features": self.features, "mask": self.mask}


class CommonWindows:
    """The windows on which models of several `DataConfig`s can be compared.

    The reference is the first configuration of the coarsest subsampling. The windows are its own: by file, phase and
    time, without those where another model would have to observe frames before the first. Common frames are the
    multiples of the least common multiple of all subsamplings, counted from the last observed frame, up to the end
    of the shortest rollout. With one configuration both are just what `pipelines.dataset.windows` gives.

    Args:
        configs: One or more configurations; rotations are not looked at.

    Raises:
        UserError: There is no common frame.
    """

    def __init__(self, configs: Sequence[DataConfig]) -> None:
        self.reference = max(configs, key=lambda config: config.subsample)
        self.spacing = math.lcm(*(config.subsample for config in configs))
        """Stored frames from one common frame to the next."""
        self.num_steps = min(config.subsample * config.rollout_steps for config in configs) // self.spacing
        """Common frames of a window (T')."""
        if self.num_steps == 0:
            spans = ", ".join(f"{config.rollout_steps} x {config.subsample}" for config in configs)
            raise UserError(
                f"`model` must be models that predict a common frame: one of every {self.spacing} stored frames. "
                f"Received rollouts of {spans} stored frames"
            )
        self.views = sorted({(config.subsample, config.warm_up_steps) for config in configs})
        """(subsample, T) of all that observe differently."""

    @staticmethod
    def batch_size(num_particles: int) -> int:
        """Largest B of `batches`: fewer windows where there are more particles, so that memory is bounded."""
        return min(_LARGEST_BATCH, max(1, _PARTICLES_PER_BATCH // num_particles))

    def steps_of(self, config: DataConfig) -> slice:
        """Which of a model's own predicted steps are the common frames."""
        stride = self.spacing // config.subsample
        return slice(stride - 1, stride * self.num_steps, stride)

    def last_observed(self, num_frames: int) -> npt.NDArray[np.int64]:
        """Stored frames at which the windows of one trajectory stop observing.

        Args:
            num_frames: Stored frames of the trajectory.
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
        """All windows of a split: (trajectory within the split, last observed frame) `[W, 2]`.

        Raises:
            UserError: As `pipelines.dataset.windows`, or no window is left.
        """
        trajectories = open_split(Manifest.load(directory), Path(directory), split, self.reference)
        parts = [
            np.stack(np.broadcast_arrays(np.int64(number), self.last_observed(len(trajectory))), axis=-1)
            for number, trajectory in enumerate(trajectories)
        ]
        index = np.concatenate(parts)
        if len(index) == 0:
            raise UserError(f"{directory}: no window of the split {split!r} has the frames that all models observe")
        return index

    def batches(self, directory: Path, split: str, index: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """Read windows in the order given, some at a time: memory does not grow with the split.

        Args:
            directory: The directory of the data set.
            split: Name of the split.
            index: Rows of what `index` gives.
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
            """Stored frames counted from the last observed one, `[B, len(offsets), N, D + F]`."""
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
