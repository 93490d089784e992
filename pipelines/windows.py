"""The windows of a split by number: file, phase, first frame; frames are read when they are needed.

Thesis section 4.3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipelines.boxes import wraps
from pipelines.config import DataConfig
from pipelines.manifest import Manifest
from pipelines.open_files import Kept
from pipelines.stored_trajectory import StoredTrajectory
from pipelines.window_counts import phase_starts

_WRAPS_BYTES = 1 << 27
_KEPT_BYTES = 1 << 27


class Windows:
    """All windows of T + T' frames of some trajectories, by file, phase and time.

    Only the place of each window is in memory: its file and its first stored frame.

    Args:
        trajectories: The files, which may differ in N and num_frames.
        manifest: The manifest of the dataset.
        config: Subsampling and window sizes.
    """

    def __init__(self, trajectories: Sequence[StoredTrajectory], manifest: Manifest, config: DataConfig) -> None:
        self._trajectories = trajectories
        self._manifest = manifest
        self._config = config
        self._wraps = Kept(_WRAPS_BYTES)
        counts = np.array([trajectory.shape[1] for trajectory in trajectories])
        self._mask = (np.arange(counts.max()) < counts[:, None]).astype(np.float32)
        self._edges = _stacked_edges(trajectories)
        parts = [_first_frames(len(trajectory), config) for trajectory in trajectories]
        self.files = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        """Number of the file of each window `[W]`."""
        self.first_frames = np.concatenate(parts)
        """First stored frame of each window `[W]`."""

    def __len__(self) -> int:
        """W."""
        return len(self.files)

    @property
    def num_bytes(self) -> int:
        """Size of a window in memory."""
        return 4 * self._config.window_steps * self._mask.shape[1] * self._manifest.num_columns

    @property
    def num_bytes_with_bonds(self) -> int:
        """Size of a window of a batch, whose bonds are a matrix."""
        return self.num_bytes + (4 * self._mask.shape[1] ** 2 if self._edges is not None else 0)

    def kept(self) -> Any:
        """The result of `read` for all windows if they are so few that they can stay in memory, else None."""
        if len(self) * self.num_bytes > _KEPT_BYTES:
            return None
        with tf.device("CPU"):
            return self.read(tf.range(len(self)))

    def num_real(self, numbers: Any) -> Any:
        """Number of particles of each window `[B]`, float32, without reading them."""
        return tf.gather(self._mask.sum(axis=1), tf.gather(self.files, numbers))

    def read(self, numbers: Any) -> tuple[dict[str, Any], Any]:
        """Read windows, inside a TensorFlow graph or outside; a single call of NumPy.

        Args:
            numbers: Numbers of the windows `[B]`.

        Returns:
            A batch as of `pipelines.dataset.batches`, not rotated, with "edges" as rows of i, j and type `[B, E, 3]`.
        """
        size, steps, start = self._manifest.num_dimensions, self._config.warm_up_steps, self._manifest.velocity_start
        shapes: list[tuple[int, ...]] = [(self._config.window_steps, self._mask.shape[1], self._manifest.num_columns)]
        shapes += [(size, size)] if self._manifest.is_periodic else []
        found = tf.numpy_function(self.gather, [numbers], [tf.float32] * len(shapes))
        columns, *boxes = (
            tf.ensure_shape(values, [None, *shape])
            for values, shape in zip(tf.nest.flatten(found), shapes, strict=True)
        )
        files = tf.gather(self.files, numbers)
        positions, features = columns[..., :size], columns[:, 0, :, size:]
        inputs = {"positions": positions[:, :steps], "mask": tf.gather(self._mask, files)}
        if boxes:
            inputs["box"] = boxes[0]
        if start is not None:
            end = start + size
            interval = self._manifest.time_between_frames * self._config.subsample
            inputs["velocities"] = columns[:, :steps, :, size + start : size + end] * interval
            features = tf.concat([features[..., :start], features[..., end:]], axis=-1)
        if self._edges is not None:
            inputs["edges"] = tf.gather(self._edges, files)
        return inputs | {"features": features}, positions[:, steps:]

    def gather(self, numbers: npt.NDArray[np.integer[Any]]) -> list[npt.NDArray[np.float32]]:
        """Read windows.

        Args:
            numbers: Numbers of the windows `[B]`.

        Returns:
            Positions and features `[B, T + T', N, D + F]`, zero for padding. In a periodic box the positions of a
            window are unwrapped, beginning with those of its first frame, and there are lattice vectors at the last
            observed frame, `[B, D, D]`.
        """
        steps, step, size = self._config.window_steps, self._config.subsample, self._manifest.num_dimensions
        columns = np.zeros((len(numbers), steps, self._mask.shape[1], self._manifest.num_columns), np.float32)
        boxes = np.zeros((len(numbers), size, size), np.float32)
        files, first_frames = self.files[numbers].tolist(), self.first_frames[numbers].tolist()
        for window, box, file, first in zip(columns, boxes, files, first_frames, strict=True):
            trajectory, chosen = self._trajectories[file], slice(first, first + step * (steps - 1) + 1, step)
            stored, real = trajectory.open()[chosen], slice(trajectory.shape[1])
            window[:, real] = stored
            if trajectory.boxes is not None:
                window[:, real, :size] = stored[..., :size] - self._wraps_of(file, trajectory.boxes, chosen)
                last = first + step * (self._config.warm_up_steps - 1)
                box[:] = trajectory.boxes[min(last, len(trajectory.boxes) - 1)]
        return [columns, boxes] if self._manifest.is_periodic else [columns]

    def _wraps_of(self, file: int, boxes: npt.NDArray[np.float64], frames: slice) -> npt.NDArray[np.float64]:
        """`pipelines.boxes.wraps` since the first of some frames, at these: `[T + T', N, D]`.

        Particles have to be followed through every stored frame. For files that are not too large this is done once.
        """
        trajectory = self._trajectories[file]

        def follow(stored: slice) -> npt.NDArray[np.float64]:
            positions = trajectory[stored][..., : boxes.shape[-1]]
            return wraps(positions, boxes[0] if len(boxes) == 1 else boxes[stored])

        num_bytes = len(trajectory) * trajectory.shape[1] * boxes.shape[-1] * boxes.itemsize
        if not self._wraps.keeps(4 * num_bytes):
            return follow(slice(frames.start, frames.stop))[:: frames.step]
        chosen = self._wraps.get(file, num_bytes, lambda: follow(slice(None)))[frames]
        return np.asarray(chosen - chosen[0])


def _first_frames(num_frames: int, config: DataConfig) -> npt.NDArray[np.int64]:
    """First stored frames of the windows of a trajectory, by phase and time."""
    phases = []
    for start in phase_starts(config):
        length = len(range(start, num_frames, config.subsample))
        steps = np.arange(0, length - config.window_steps + 1, config.window_shift, dtype=np.int64)
        phases.append(start + config.subsample * steps)
    return np.concatenate(phases)


def _stacked_edges(trajectories: Sequence[StoredTrajectory]) -> npt.NDArray[np.int32] | None:
    """Bonds of every file `[files, E, 3]`, filled up with zeros to the same number E; None without bonds."""
    edges = [trajectory.edges for trajectory in trajectories if trajectory.edges is not None]
    if not edges:
        return None
    most = max(map(len, edges))
    return np.stack([np.pad(rows, [(0, most - len(rows)), (0, 0)]) for rows in edges])


def dense_edges(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Inputs of a batch with "edges" `[B, N, N]`, the symmetric type of the bond of a pair, 0 for none.

    Args:
        inputs: Inputs of a batch; if they have "edges", these are rows of i, j and type, or of zeros, `[B, E, 3]`.
    """
    if "edges" not in inputs:
        return inputs
    edges, num_particles = inputs["edges"], inputs["mask"].shape[-1]
    count = tf.shape(edges)[0]
    system = tf.range(count)[:, None] * num_particles**2
    places = [system + edges[..., a] * num_particles + edges[..., 1 - a] for a in (0, 1)]
    flat = tf.math.unsorted_segment_sum(
        tf.concat([edges[..., 2]] * 2, axis=1), tf.concat(places, axis=1), count * num_particles**2
    )
    return {**inputs, "edges": tf.reshape(flat, [-1, num_particles, num_particles])}
