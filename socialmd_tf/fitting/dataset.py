"""The trajectories of a split, as the fit reads them."""

from pathlib import Path

import numpy as np

from pipelines.augment import vector_starts
from pipelines.boxes import wraps
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import frame_chunks
from socialmd_tf.fitting.trajectories import Trajectories


def read_split(directory, split, windows, max_simulations=None, max_frames=None):
    """All simulations of a split, every `subsample`-th frame, cut to the length of the shortest.

    Args:
        directory: The dataset.
        split: Name of the split.
        windows: The `DataConfig`.
        max_simulations: Number of simulations that are read at most, the first ones; None for all.
        max_frames: Number of frames of each that are read at most, the first ones; None for all.

    Raises:
        UserError: A file is faulty or too short for a window, or a box changes in time.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    files = open_split(manifest, directory, split, windows)[:max_simulations]
    num_frames = min(len(range(0, len(file), windows.subsample)[:max_frames]) for file in files)
    size = max(file.shape[1] for file in files)
    boxes = constant_boxes(files, directory)
    frames = np.arange(num_frames) * windows.subsample
    systems = [_system(file, manifest, frames, size) for file in files]
    positions, velocities, features, mask, edges = (np.stack(arrays) for arrays in zip(*systems, strict=True))
    known = manifest.own_features  # what layers get as features, see `Rollout`
    vectors = vector_starts(known, manifest.num_dimensions)
    parts = {start + axis for start in vectors for axis in range(manifest.num_dimensions)}
    # A component of a vector is no number of a particle: it depends on how the axes lie.
    names = tuple(None if k in parts else name for k, name in enumerate(known))
    if manifest.velocity_start is None:
        return Trajectories(positions, features, names, edges, mask, boxes)
    interval = manifest.time_between_frames * windows.subsample
    return Trajectories(positions, features, names, edges, mask, boxes, velocities * interval)


def _system(file, manifest, frames, size):
    """Positions, velocities, features, mask and edges of a file, as in `Trajectories`, padded to N = size.

    Velocities are per unit of time, and `[T, N, 0]` where none were observed.
    """
    positions, first = _positions(file, manifest.num_dimensions, frames), file[0]
    _check_places(positions, file, frames)
    own, seen = (
        [manifest.num_dimensions + manifest.features.index(name) for name in names]
        for names in (manifest.own_features, manifest.velocity_names if manifest.velocity_start is not None else ())
    )
    velocities = file[frames][..., seen] if seen else np.zeros((*positions.shape[:2], 0))
    missing = [(0, size - len(first))]
    edges = np.zeros((1, 1) if file.edges is None else (size, size), np.int32)
    if file.edges is not None:
        i, j, kind = file.edges.T
        edges[i, j] = edges[j, i] = kind
    return (
        np.pad(positions, [(0, 0), *missing, (0, 0)]),
        np.pad(velocities.astype(np.float64), [(0, 0), *missing, (0, 0)]),
        np.pad(first[:, own].astype(np.float64), [*missing, (0, 0)]),
        np.arange(size) < len(first),
        edges,
    )


def _check_places(positions, file, frames):
    """Refuse two particles in one place, between which no force has a direction."""
    sorted_along_x = np.sort(positions[..., 0], axis=1)
    for number in np.nonzero((np.diff(sorted_along_x, axis=1) == 0).any(axis=1))[0]:
        _, owners, counts = np.unique(positions[number], axis=0, return_inverse=True, return_counts=True)
        same = np.nonzero(counts[owners] > 1)[0]
        if len(same):
            i, j = np.nonzero(owners == owners[same[0]])[0][:2]
            raise UserError(
                f"{file.path}: expected particles in different places, to fit the forces between them, found "
                f"particles {i} and {j} in one place in frame {frames[number]}"
            )


def _positions(file, num_dimensions, frames):
    """Unwrapped positions `[T, N, D]` at some frames, float64; only these are in memory."""
    if file.boxes is None:
        return file[frames][..., :num_dimensions].astype(np.float64)
    kept, before, added = [], None, 0.0
    for start, chunk in frame_chunks(file):
        if start > frames[-1]:
            break
        positions = chunk[..., :num_dimensions].astype(np.float64)
        followed = positions if before is None else np.concatenate([before, positions])
        added = added + wraps(followed, file.boxes[0])[-len(positions) :]
        chosen = frames[(frames >= start) & (frames < start + len(positions))] - start
        kept.append((positions - added)[chosen])
        before, added = positions[-1:], added[-1]
    return np.concatenate(kept)


def constant_boxes(files, directory):
    """The box of each file `[W, D, D]`, or None.

    Args:
        files: The stored trajectories.
        directory: The dataset, for the message.

    Raises:
        UserError: A box changes in time.
    """
    if files[0].boxes is None:
        return None
    for file in files:
        if not (file.boxes == file.boxes[0]).all():
            changed = int(np.argmax((file.boxes != file.boxes[0]).any(axis=(1, 2))))
            raise UserError(
                f"{directory}: a law can only be fitted in boxes that are constant in time, as a barostat moves "
                f"particles, too. Found another box in frame {changed} of {file.path}; train with "
                "--model.force pair_mlp"
            )
    return np.stack([file.boxes[0] for file in files])
