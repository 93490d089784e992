"""From trajectories to windows: read -> subsample -> sliding windows (thesis section 4.3).

The stages run inside the TensorFlow graph; NumPy reads only the headers of the files.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.npy_files import StoredTrajectory

Stage = Callable[[Any], Any]
"""`tf.data.Dataset -> tf.data.Dataset`, to be joined with `.apply`."""


def count_windows(num_frames: int, config: DataConfig) -> int:
    """Count the windows of one trajectory over all phases.

    Phase p keeps n_p = ceil((num_frames - p * subsample / phases) / subsample) frames and holds
    floor((n_p - (T + T')) / shift) + 1 windows.

    Args:
        num_frames: Number of stored frames.
        config: Subsampling and window sizes.

    Returns:
        The number of windows; a phase shorter than one window has none.
    """
    lengths = (len(range(start, num_frames, config.subsample)) for start in phase_starts(config))
    return sum(len(range(0, length - config.window_steps + 1, config.window_shift)) for length in lengths)


def phase_starts(config: DataConfig) -> range:
    """First stored frame of every phase: p * subsample / phases."""
    return range(0, config.subsample, config.subsample // config.num_phases)


def read(trajectories: Sequence[StoredTrajectory]) -> Any:
    """Read trajectories in the given order; the source of the pipeline.

    Args:
        trajectories: The files, which may differ in N and num_frames; the content is read when the pipeline runs.

    Returns:
        A dataset of (trajectory `[num_frames, N_max, D + F]`, mask `[N_max]`), float32: systems are padded with
        zeros to the largest N; the mask is 1 for real particles and 0 for padding.
    """
    max_particles = max(trajectory.shape[1] for trajectory in trajectories)
    num_columns = trajectories[0].shape[2]

    def decode(path: Any, offset: Any, shape: Any) -> tuple[Any, Any]:
        num_bytes = tf.reduce_prod(shape) * np.dtype(np.float32).itemsize
        content = tf.strings.substr(tf.io.read_file(path), offset, num_bytes)
        trajectory = tf.reshape(tf.io.decode_raw(content, tf.float32), shape)
        trajectory = tf.pad(trajectory, [[0, 0], [0, max_particles - shape[1]], [0, 0]])
        mask = tf.cast(tf.range(max_particles, dtype=tf.int64) < shape[1], tf.float32)
        return tf.ensure_shape(trajectory, [None, max_particles, num_columns]), mask

    headers = (
        [trajectory.filename for trajectory in trajectories],
        np.array([trajectory.offset for trajectory in trajectories], np.int64),
        np.array([trajectory.shape for trajectory in trajectories], np.int64),
    )
    return tf.data.Dataset.from_tensor_slices(headers).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def subsample(config: DataConfig) -> Stage:
    """Keep every `config.subsample`-th frame, once per phase.

    Args:
        config: `subsample` and `num_phases`; phase p starts at frame p * subsample / phases.

    Returns:
        A stage from (trajectory `[num_frames, N, C]`, mask `[N]`) to one such pair per phase, in order.
    """
    starts = phase_starts(config)

    def phases(trajectory: Any, mask: Any) -> Any:
        dataset = tf.data.Dataset.range(starts.start, starts.stop, starts.step)
        return dataset.map(lambda start: (trajectory[start :: config.subsample], mask))

    return lambda dataset: dataset.flat_map(phases)


def slide(config: DataConfig, num_dimensions: int) -> Stage:
    """Cut sliding windows of T + T' frames, `config.window_shift` frames apart.

    Args:
        config: `warm_up_steps` T, `rollout_steps` T' and `window_shift`.
        num_dimensions: D. The columns after the first D are features, read from the window's first frame.

    Returns:
        A stage from (trajectory `[num_frames, N, D + F]`, mask `[N]`) to
        ({"positions" `[T, N, D]`, "features" `[N, F]`, "mask" `[N]`}, target positions `[T', N, D]`).
    """

    def split(frames: Any, mask: Any) -> tuple[Mapping[str, Any], Any]:
        positions = frames[:, :, :num_dimensions]
        inputs = {
            "positions": positions[: config.warm_up_steps],
            "features": frames[0, :, num_dimensions:],
            "mask": mask,
        }
        return inputs, positions[config.warm_up_steps :]

    def cut(trajectory: Any, mask: Any) -> Any:
        num_starts = tf.shape(trajectory, out_type=tf.int64)[0] - config.window_steps + 1
        steps = tf.range(config.window_steps, dtype=tf.int64)
        starts = tf.data.Dataset.range(0, num_starts, config.window_shift)
        return starts.map(lambda start: split(tf.gather(trajectory, start + steps), mask))

    return lambda dataset: dataset.flat_map(cut)
