"""From trajectories to windows: read -> subsample -> sliding windows (thesis section 4.3).

The stages run inside the TensorFlow graph; NumPy reads only the headers of the files.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.npy_files import StoredTrajectory
from pipelines.window_counts import phase_starts

Stage = Callable[[Any], Any]
"""`tf.data.Dataset -> tf.data.Dataset`, to be joined with `.apply`."""


def read(trajectories: Sequence[StoredTrajectory]) -> Any:
    """Read trajectories in the given order; the source of the pipeline.

    Args:
        trajectories: The files, which may differ in N and num_frames; the content is read when the pipeline runs.

    Returns:
        A dataset of two dictionaries: what is known per frame and per system. Per frame: `trajectory`
        `[num_frames, N_max, D + F]`, float32, and in a periodic box `boxes` `[num_frames, D, D]`, float32, and `wraps`
        `[num_frames, N_max, D]`, float64 (see `pipelines.boxes.wraps`). Per system: `mask` `[N_max]`, float32, 1 for
        real particles and 0 for padding, and with bonds `edges` `[E_max, 3]`, int32. Systems are padded with zeros to
        the largest N, and bonds to the largest E.
    """
    max_particles = max(trajectory.shape[1] for trajectory in trajectories)
    num_columns = trajectories[0].shape[2]

    def decode(header: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        shape = header["shape"]
        num_bytes = tf.reduce_prod(shape) * np.dtype(np.float32).itemsize
        content = tf.strings.substr(tf.io.read_file(header["path"]), header["offset"], num_bytes)
        trajectory = tf.reshape(tf.io.decode_raw(content, tf.float32), shape)
        trajectory = tf.pad(trajectory, [[0, 0], [0, max_particles - shape[1]], [0, 0]])
        trajectory = tf.ensure_shape(trajectory, [None, max_particles, num_columns])
        mask = tf.cast(tf.range(max_particles, dtype=tf.int64) < shape[1], tf.float32)
        frames, system = {"trajectory": trajectory}, {"mask": mask}
        if "boxes" in header:
            frames |= _periodic(trajectory, header["boxes"])
        if "edges" in header:
            system["edges"] = header["edges"]
        return frames, system

    return tf.data.Dataset.from_tensor_slices(_headers(trajectories)).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def _headers(trajectories: Sequence[StoredTrajectory]) -> dict[str, Any]:
    headers: dict[str, Any] = {
        "path": [trajectory.filename for trajectory in trajectories],
        "offset": np.array([trajectory.offset for trajectory in trajectories], np.int64),
        "shape": np.array([trajectory.shape for trajectory in trajectories], np.int64),
    }
    boxes = [trajectory.boxes for trajectory in trajectories if trajectory.boxes is not None]
    if boxes:
        flat = np.concatenate(boxes).reshape(-1, boxes[0].shape[-1] ** 2)
        headers["boxes"] = tf.RaggedTensor.from_row_lengths(flat, [len(box) for box in boxes])
    edges = [trajectory.edges for trajectory in trajectories if trajectory.edges is not None]
    if edges:
        most = max(map(len, edges))
        headers["edges"] = np.stack([np.pad(rows, [(0, most - len(rows)), (0, 0)]) for rows in edges])
    return headers


def _periodic(trajectory: Any, boxes: Any) -> dict[str, Any]:
    """`boxes` and `wraps` of a trajectory `[num_frames, N, D + F]` in boxes `[num_frames or 1, D * D]`."""
    size = math.isqrt(boxes.shape[-1])
    boxes = tf.reshape(boxes, [-1, size, size])
    boxes = tf.broadcast_to(boxes, [tf.shape(trajectory)[0], size, size])
    positions = tf.cast(trajectory[..., :size], tf.float64)
    following = boxes[1:]
    transposed = tf.linalg.matrix_transpose(following)
    is_open = tf.cast(tf.reduce_all(following == 0, axis=-1), tf.float64)
    inverse = transposed @ tf.linalg.inv(following @ transposed + tf.linalg.diag(is_open))
    added = tf.round((positions[1:] - positions[:-1]) @ inverse) @ following
    wraps = tf.concat([tf.zeros_like(positions[:1]), tf.cumsum(added, axis=0)], axis=0)
    return {"boxes": tf.cast(boxes, tf.float32), "wraps": wraps}


def subsample(config: DataConfig) -> Stage:
    """Keep every `config.subsample`-th frame, once per phase.

    Args:
        config: `subsample` and `num_phases`; phase p starts at frame p * subsample / phases.

    Returns:
        A stage from the elements of `read` to one such element per phase, in order.
    """
    starts = phase_starts(config)

    def phases(frames: Any, system: Any) -> Any:
        dataset = tf.data.Dataset.range(starts.start, starts.stop, starts.step)
        return dataset.map(
            lambda start: (tf.nest.map_structure(lambda values: values[start :: config.subsample], frames), system)
        )

    return lambda dataset: dataset.flat_map(phases)


def slide(config: DataConfig, num_dimensions: int, velocity_start: int | None = None, interval: float = 1.0) -> Stage:
    """Cut sliding windows of T + T' frames, `config.window_shift` frames apart.

    Args:
        config: `warm_up_steps` T, `rollout_steps` T' and `window_shift`.
        num_dimensions: D. The columns after the first D are features, read from the window's first frame.
        velocity_start: Place of the first of D columns of observed velocities among the features; None for none.
        interval: Time between two subsampled frames, in the time unit of the velocities.

    Returns:
        A stage from the elements of `read` to
        ({"positions" `[T, N, D]`, "features" `[N, F]`, "mask" `[N]`}, target positions `[T', N, D]`). In a periodic
        box the positions of a window are unwrapped, beginning with those of its first frame, and "box" `[D, D]` is that
        of the last observed frame. "velocities" `[T, N, D]` are in units of length per subsampled frame. "edges"
        `[E, 3]` are those of `read`.
    """
    last, columns = config.warm_up_steps - 1, slice(num_dimensions, None)

    def split(frames: Mapping[str, Any], system: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        positions = frames["trajectory"][:, :, :num_dimensions]
        features = frames["trajectory"][:, :, columns]
        inputs = dict(system)
        if "boxes" in frames:
            unwrapped = tf.cast(positions, tf.float64) - (frames["wraps"] - frames["wraps"][:1])
            positions = tf.cast(unwrapped, tf.float32)
            inputs["box"] = frames["boxes"][last]
        if velocity_start is not None:
            end = velocity_start + num_dimensions
            inputs["velocities"] = features[: config.warm_up_steps, :, velocity_start:end] * interval
            features = tf.concat([features[..., :velocity_start], features[..., end:]], axis=-1)
        inputs |= {"positions": positions[: config.warm_up_steps], "features": features[0]}
        return inputs, positions[config.warm_up_steps :]

    def cut(frames: Any, system: Any) -> Any:
        num_starts = tf.shape(frames["trajectory"], out_type=tf.int64)[0] - config.window_steps + 1
        steps = tf.range(config.window_steps, dtype=tf.int64)
        starts = tf.data.Dataset.range(0, num_starts, config.window_shift)
        return starts.map(
            lambda start: split(tf.nest.map_structure(lambda values: tf.gather(values, start + steps), frames), system)
        )

    return lambda dataset: dataset.flat_map(cut)


def dense_edges(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Inputs `[...]` or `[B, ...]` with "edges" `[N, N]`, the symmetric type of the bond of a pair, 0 for none.

    Args:
        inputs: Inputs of a window or a batch; if they have "edges", these are rows of i, j and type, `[E, 3]`.
    """
    if "edges" not in inputs:
        return inputs
    edges, num_particles = inputs["edges"], tf.shape(inputs["mask"])[-1]
    leading = tf.shape(edges)[:-2]
    rows = tf.reshape(edges, [-1, tf.shape(edges)[-2], 3])
    system = tf.range(tf.shape(rows)[0])[:, None] * tf.square(num_particles)
    places = [system + rows[..., a] * num_particles + rows[..., 1 - a] for a in (0, 1)]
    flat = tf.math.unsorted_segment_sum(
        tf.concat([rows[..., 2]] * 2, axis=1), tf.concat(places, axis=1), tf.shape(rows)[0] * tf.square(num_particles)
    )
    dense = tf.reshape(flat, tf.concat([leading, [num_particles, num_particles]], axis=0))
    static = [*edges.shape[:-2], inputs["mask"].shape[-1], inputs["mask"].shape[-1]]
    return {**inputs, "edges": tf.ensure_shape(dense, static)}
