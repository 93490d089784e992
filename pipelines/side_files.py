"""What a dataset says beside its trajectories: the box and the bonds of each file."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import half_height, lattice_vectors
from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import StoredTrajectory


def open_file(manifest: Manifest, directory: Path, file: str) -> StoredTrajectory:
    """Check the header of a file of `splits`, and read its box and bonds.

    Args:
        manifest: The manifest of the dataset.
        directory: The directory of the dataset.
        file: A file of `splits`.

    Raises:
        UserError: As `pipelines.npy_files.open_trajectory`, `load_boxes` and `load_edges`.
    """
    trajectory = StoredTrajectory.check(Path(directory) / file, manifest)
    num_frames, num_particles, _ = trajectory.shape
    return dataclasses.replace(
        trajectory,
        boxes=load_boxes(manifest, directory, file, num_frames),
        edges=load_edges(manifest, directory, file, num_particles),
    )


def name_in(directory: Path, path: Path) -> str:
    """The name by which a manifest knows a file: relative to the directory of the dataset."""
    return Path(os.path.relpath(Path(path).resolve(), Path(directory).resolve())).as_posix()


def edge_matrix(edges: npt.NDArray[Any], num_particles: int) -> npt.NDArray[np.int32]:
    """Types of bonds `[N, N]`, symmetric, 0 for none.

    Args:
        edges: Rows of i, j and type, `[E, 3]`.
        num_particles: N.

    Raises:
        UserError: As `load_edges`.
    """
    edges = np.asarray(edges)
    fault = _shape_fault(edges) or _edge_fault(edges.astype(np.int64), num_particles)
    if fault:
        raise UserError(f"`edges`: {fault}")
    dense = np.zeros((num_particles, num_particles), np.int32)
    i, j, kind = edges.T
    dense[i, j] = dense[j, i] = kind
    return dense


def load_boxes(manifest: Manifest, directory: Path, file: str, num_frames: int) -> npt.NDArray[np.float64] | None:
    """The box of a file in each of its frames.

    Args:
        manifest: The manifest of the dataset.
        directory: The directory of the dataset.
        file: A file of `splits`.
        num_frames: Number of frames of the file.

    Returns:
        Lattice vectors in rows `[num_frames, D, D]`, `[1, D, D]` if they are the same in all frames, or None without
        a box.

    Raises:
        UserError: The file of the box is missing or damaged, has another number of frames, or is not of boxes.
    """
    if manifest.box is not None:
        return lattice_vectors(manifest.box, manifest.num_dimensions)[None]
    if manifest.box_files is None:
        return None
    if file not in manifest.box_files:
        raise UserError(f"{Path(directory) / file}: expected a file of `box_files` in the manifest")
    path = Path(directory) / manifest.box_files[file]
    boxes = _load(path)
    try:
        boxes = lattice_vectors(boxes, manifest.num_dimensions, leading=1)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if len(boxes) != num_frames:
        raise UserError(f"{path}: expected a box for each of the {num_frames} frames of {file}, found {len(boxes)}")
    return boxes


def load_edges(manifest: Manifest, directory: Path, file: str, num_particles: int) -> npt.NDArray[np.int32] | None:
    """The bonds of a file.

    Args:
        manifest: The manifest of the dataset.
        directory: The directory of the dataset.
        file: A file of `splits`.
        num_particles: N of the file.

    Returns:
        Rows of i, j and type, `[E, 3]`, or None if the dataset has no bonds.

    Raises:
        UserError: The file of the bonds is missing or damaged, has another shape or type of numbers, names a particle
            that does not exist, joins a particle with itself or a pair twice, or has a type below 1.
    """
    if isinstance(manifest.edges, Mapping) and manifest.original_of(file) not in manifest.edges:
        raise UserError(f"{Path(directory) / file}: expected a file of `edges` in the manifest")
    name = manifest.edges_of(file)
    if name is None:
        return None
    path = Path(directory) / name
    edges = _load(path)
    fault = _shape_fault(edges) or _edge_fault(edges.astype(np.int64), num_particles)
    if fault:
        raise UserError(f"{path}: {fault} ({file})")
    return edges.astype(np.int32)


def smallest_half_height(manifest: Manifest, directory: Path) -> float:
    """Half the smallest height of any box of a dataset: the largest distance at which images are unique.

    Args:
        manifest: The manifest of the dataset.
        directory: The directory of the dataset.

    Returns:
        In units of length; infinity without a box.
    """
    if manifest.box is not None:
        return half_height(lattice_vectors(manifest.box, manifest.num_dimensions))
    files = dict.fromkeys((manifest.box_files or {}).values())
    boxes = (lattice_vectors(_load(Path(directory) / file), manifest.num_dimensions, leading=1) for file in files)
    return min(map(half_height, boxes), default=math.inf)


def num_edge_types(manifest: Manifest, directory: Path) -> int:
    """Largest type of a bond in any file of a dataset, 0 without bonds; the files are those that `validate` passed."""
    names = {file: manifest.edges_of(file) for file in manifest.files}
    loaded = (_load(Path(directory) / name) for name in dict.fromkeys(names.values()) if name is not None)
    return max((int(edges[:, 2].max(initial=0)) for edges in loaded), default=0)


def _load(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:  # a damaged header gives errors of many types
        raise UserError(f"{path}: not an .npy file, or truncated: {error}") from None


def _shape_fault(edges: npt.NDArray[Any]) -> str | None:
    if edges.ndim == 2 and edges.shape[1] == 3 and np.issubdtype(edges.dtype, np.integer):
        return None
    return f"expected integers [E, 3], found {edges.dtype} {list(edges.shape)}"


def _edge_fault(edges: npt.NDArray[np.int64], num_particles: int) -> str | None:
    ends = edges[:, :2]
    pairs = np.sort(ends, axis=1)
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    rules = (
        (((ends < 0) | (ends >= num_particles)).any(axis=1), f"expected particles from 0 to {num_particles - 1}"),
        (ends[:, 0] == ends[:, 1], "expected two different particles"),
        (edges[:, 2] < 1, "expected a type of at least 1"),
        (np.isin(np.arange(len(edges)), first[counts > 1]), "expected every pair once, found it more often"),
    )
    for wrong, rule in rules:
        if wrong.any():
            row = int(np.argmax(wrong))
            return f"row {row}: {rule}, found {edges[row].tolist()}"
    return None
