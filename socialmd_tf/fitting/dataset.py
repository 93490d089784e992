"""The trajectories of a split, as the fit reads them."""

from pathlib import Path

import numpy as np

from pipelines.augment import vector_starts
from pipelines.boxes import unwrap
from pipelines.dataset import open_split
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from socialmd_tf.fitting.trajectories import Trajectories


def read_split(directory, split, windows):
    """All simulations of a split, every `subsample`-th frame, cut to the length of the shortest.

    Args:
        directory: The dataset.
        split: Name of the split.
        windows: The `DataConfig`.

    Raises:
        UserError: A file is faulty or too short for a window, or the box is not the same everywhere.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    files = open_split(manifest, directory, split, windows)
    num_frames = min(len(range(0, len(file), windows.subsample)) for file in files)
    size = max(file.shape[1] for file in files)
    box = _constant_box(files, directory)
    frames = np.arange(num_frames) * windows.subsample
    systems = [_system(file, manifest, frames, size) for file in files]
    positions, velocities, features, mask, edges = (np.stack(arrays) for arrays in zip(*systems, strict=True))
    known = manifest.own_features  # what layers get as features, see `Rollout`
    vectors = vector_starts(known, manifest.num_dimensions)
    parts = {start + axis for start in vectors for axis in range(manifest.num_dimensions)}
    # A component of a vector is no number of a particle: it depends on how the axes lie.
    names = tuple(None if k in parts else name for k, name in enumerate(known))
    if manifest.velocity_start is None:
        return Trajectories(positions, features, names, edges, mask, box)
    interval = manifest.time_between_frames * windows.subsample
    return Trajectories(positions, features, names, edges, mask, box, velocities * interval)


def _system(file, manifest, frames, size):
    """Positions, velocities, features, mask and edges of a file, as in `Trajectories`, padded to N = size.

    Velocities are per unit of time, and `[T, N, 0]` where none were observed.
    """
    stored = file[: frames[-1] + 1]
    positions = stored[..., : manifest.num_dimensions].astype(np.float64)
    if file.boxes is not None:
        positions = unwrap(positions, file.boxes[0])
    own, seen = (
        [manifest.num_dimensions + manifest.features.index(name) for name in names]
        for names in (manifest.own_features, manifest.velocity_names if manifest.velocity_start is not None else ())
    )
    missing = [(0, size - stored.shape[1])]
    edges = np.zeros((size, size), np.int64)
    if file.edges is not None:
        i, j, kind = file.edges.T
        edges[i, j] = edges[j, i] = kind
    return (
        np.pad(positions[frames], [(0, 0), *missing, (0, 0)]),
        np.pad(stored[frames][..., seen].astype(np.float64), [(0, 0), *missing, (0, 0)]),
        np.pad(stored[0][:, own].astype(np.float64), [*missing, (0, 0)]),
        np.arange(size) < stored.shape[1],
        edges,
    )


def _constant_box(files, directory):
    """The box `[D, D]` of all files, or None."""
    if files[0].boxes is None:
        return None
    box = files[0].boxes[0]
    for file in files:
        if not (file.boxes == box).all():
            raise UserError(
                f"{directory}: a law can only be fitted in one box, the same in all files and frames. Found another "
                f"one for {file.filename}; train with --model.force pair_mlp"
            )
    return box
