"""From a dataset on disk and a `DataConfig` to a `tf.data.Dataset` of batches."""

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines import augment
from pipelines.config import DataConfig
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.shares import Share
from pipelines.side_files import open_file
from pipelines.stored_trajectory import StoredTrajectory
from pipelines.validation import SHORTER_WINDOWS
from pipelines.window_counts import count_windows
from pipelines.windows import Windows, dense_edges

_WAITING_BYTES = 1 << 28
_READ_TOGETHER = 256
_MOST_BYTES = 1 << 23


def num_windows(directory: Path, split: str, config: DataConfig) -> int:
    """Count the windows of a split; reads the headers of its files only.

    An epoch of `batches` has `num_windows * max(1, config.rotations)` samples. With the defaults, 100 and 20
    simulations of 1000 frames, as in the thesis, give 20 000 and 4 000 samples.

    Args:
        directory: The directory of the dataset.
        split: The name of the split.
        config: Subsampling and window sizes.

    Returns:
        The number of windows, without rotated copies.

    Raises:
        UserError: As `windows`.
    """
    return sum(num_windows_by_file(directory, split, config))


def num_windows_by_file(directory: Path, split: str, config: DataConfig) -> list[int]:
    """Count the windows of each file of a split, in the order of `windows`; otherwise as `num_windows`."""
    trajectories = open_split(Manifest.load(directory), Path(directory), split, config)
    return [count_windows(len(trajectory), config) for trajectory in trajectories]


def most_particles(directory: Path, split: str, config: DataConfig) -> int:
    """The number of particles of a window of a split, padding included; reads and raises what `num_windows` does."""
    return max(file.shape[1] for file in open_split(Manifest.load(directory), Path(directory), split, config))


def windows(directory: Path, split: str, config: DataConfig) -> Any:
    """Read all windows of a split in a fixed order: by file, phase and time.

    Only the headers of the files are checked; `pipelines.validation.check` also checks the numbers.

    Args:
        directory: The directory of the dataset.
        split: The name of the split.
        config: Subsampling and window sizes.

    Returns:
        A dataset of ({"positions" `[T, N, D]`, "features" `[N, F]`, "mask" `[N]`}, target positions `[T', N, D]`),
        float32, in the units of the dataset. N is that of the largest system of the split; positions and features of
        padded particles are zero. The inputs also have, where the dataset has them:

        - "box" `[D, D]`: lattice vectors in rows at the last observed frame, zeros for an open axis. The positions of
          a window are then unwrapped: they continue across the faces of the box.
        - "edges" `[N, N]`, int32: the type of the bond of two particles, symmetric, 0 for none.
        - "velocities" `[T, N, D]`: observed velocities times the time between subsampled frames; no features.

    Raises:
        UserError: The manifest or the header of a file is faulty, the split is unknown or empty, or a file
            is too short for one window of every phase.
    """
    whole = dataclasses.replace(config, rotations=0)
    one_by_one = batches(directory, split, whole, batch_size=1, seed=0, shuffle=False)
    count = len(one_by_one)
    return one_by_one.unbatch().apply(tf.data.experimental.assert_cardinality(count))


def batches(
    directory: Path,
    split: str,
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool,
    num_epochs: int = 1,
    first_epoch: int = 0,
    share: Share | None = None,
) -> Any:
    """Stream the batches of the epochs `first_epoch`, ..., `num_epochs - 1`.

    Order and rotations of epoch e depend on (seed, e) only: a stream that begins at epoch e continues one that
    was interrupted there.

    Args:
        directory: The directory of the dataset.
        split: The name of the split.
        config: Windows and rotations. An epoch has every window `config.rotations` times, each copy randomly
            rotated about the origin; with 0 rotations, once and not rotated.
        batch_size: B; the last batch of an epoch may be smaller.
        seed: Seed of order and rotations.
        shuffle: Whether the samples of an epoch are in random order; otherwise in the order of `windows`, copy
            after copy.
        num_epochs: Total number of epochs, including those before `first_epoch`.
        first_epoch: The first epoch of the stream.
        share: The share of every batch to read; None for whole batches.

    Returns:
        A dataset of known length of ({"positions" `[B, T, N, D]`, "features" `[B, N, F]`, "mask" `[B, N]`},
        target positions `[B, T', N, D]`), float32, in the units of the dataset, and the optional inputs of `windows`;
        lattice vectors and velocities rotate with the positions. With a share, a third element states the numbers of
        windows and of real particles of the whole batch `[2]`, float32.

    Raises:
        UserError: As `windows`, or an argument is out of range.
    """
    if batch_size < 1:
        raise UserError(f"`batch_size` must be at least 1. Received: {batch_size}")
    if not 0 <= first_epoch <= num_epochs:
        raise UserError(f"`first_epoch` must be in [0, {num_epochs}]. Received: {first_epoch}")
    part = share or Share()
    part.check(batch_size)
    manifest = Manifest.load(directory)
    found = Windows(open_split(manifest, Path(directory), split, config), manifest, config)
    num_samples = len(found) * max(1, config.rotations)
    size, vectors = manifest.num_dimensions, augment.vector_starts(manifest.particle_features, manifest.num_dimensions)
    kept = found.kept()
    # A call of Python, or an element of tf.data, costs as much as many windows: small batches are read and rotated
    # several at a time.
    num_together = batch_size * max(1, min(_READ_TOGETHER, _MOST_BYTES // found.num_bytes_with_bonds) // batch_size)

    def epoch_batches(epoch: Any) -> Any:
        order_seed, rotation_seed = _epoch_seeds(seed, epoch)
        samples = tf.range(num_samples)
        order = tf.random.experimental.stateless_shuffle(samples, order_seed) if shuffle else samples
        draws = augment.rotation_draws(num_samples if config.rotations else 0, size, rotation_seed)

        def read(start: Any) -> Any:
            numbers = order[start : start + num_together] % len(found)
            rotations = augment.rotations(draws[start : start + num_together])
            wholes = _sizes(found, numbers, batch_size)
            if share is not None:
                rows = share.rows(tf.shape(numbers)[0], batch_size)
                numbers = tf.gather(numbers, rows)
                rotations = tf.gather(rotations, rows) if config.rotations else rotations
            gathered = tf.nest.map_structure(lambda values: tf.gather(values, numbers), kept) if kept else None
            inputs, targets = gathered or found.read(numbers)
            batch = dense_edges(inputs), targets
            return augment.rotate(batch, rotations, vectors) if config.rotations else batch, wholes

        starts = tf.data.Dataset.range(0, num_samples, num_together)
        return starts.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def in_batches(windows: Any, wholes: Any) -> Any:
        size = part.largest(batch_size)

        def one(k: Any) -> Any:
            inputs, targets = tf.nest.map_structure(lambda values: values[k * size : (k + 1) * size], windows)
            return (inputs, targets) if share is None else (inputs, targets, wholes[k])

        return tf.data.Dataset.range(tf.shape(wholes, tf.int64)[0]).map(one)

    dataset = tf.data.Dataset.range(first_epoch, num_epochs).flat_map(epoch_batches).flat_map(in_batches)
    length = -(-num_samples // batch_size) * (num_epochs - first_epoch)
    return _bounded(dataset.apply(tf.data.experimental.assert_cardinality(length)))


def _sizes(found: Windows, numbers: Any, batch_size: int) -> Any:
    """Numbers of windows and of real particles of successive batches of some windows, float32 `[batches, 2]`."""
    count = tf.shape(numbers)[0]
    starts = tf.range(0, count, batch_size)
    ends = tf.minimum(starts + batch_size, count)
    real = tf.concat([[0.0], tf.cumsum(found.num_real(numbers))], axis=0)
    return tf.stack([tf.cast(ends - starts, tf.float32), tf.gather(real, ends) - tf.gather(real, starts)], axis=1)


def _epoch_seeds(seed: int, epoch: Any) -> tuple[Any, Any]:
    """Seeds `[2]` of the order and of the rotations of an epoch."""
    base = tf.stack([tf.constant(seed, tf.int64), epoch])
    first, second = tf.unstack(tf.random.split(base, 2))
    return first, second


def open_split(manifest: Manifest, directory: Path, split: str, config: DataConfig) -> list[StoredTrajectory]:
    """Check the headers of the files of a split; arguments and errors as for `windows`."""
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise UserError(f"{directory}: `split` must be one of {known}. Received: {split!r}")
    if not manifest.splits[split]:
        raise UserError(f"{directory}: the split {split!r} is empty; expected at least one file")
    trajectories = [open_file(manifest, directory, file) for file in manifest.splits[split]]
    for file, trajectory in zip(manifest.splits[split], trajectories, strict=True):
        if len(trajectory) < config.min_frames:
            raise UserError(
                f"{directory / file}: expected at least {config.min_frames} frames for one window of T + T' = "
                f"{config.window_steps} frames, {config.subsample} stored frames apart, in each of "
                f"{config.num_phases} phases, found {len(trajectory)}; {SHORTER_WINDOWS}"
            )
    return trajectories


def _bounded(dataset: Any) -> Any:
    """The dataset in its order, prefetched, with a limit for the batches that wait to be used."""
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.ram_budget = _WAITING_BYTES
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
