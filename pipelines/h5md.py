"""Trajectories in HDF5 and Zarr (version 3), both in the layout of H5MD, read when they are needed.

    particles/NAME/position/value   [num_frames, N, D], in the length unit of the dataset
    particles/NAME/velocity/value   the same shape, if the dataset has observed velocities
    particles/NAME/FEATURE          [N], or FEATURE/value [num_frames, N]
    particles/NAME/VECTOR           [N, D], the features VECTOR_x, VECTOR_y (and VECTOR_z)
    particles/NAME/box/edges        optional, as of H5MD

de Buyl, Colberg and Höfling, *H5MD: A structured, efficient, and portable file format for molecular data*, 2014.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import lattice_vectors
from pipelines.errors import UserError
from pipelines.extras import install_command
from pipelines.manifest import MANIFEST_FILE, Manifest

HDF5_SUFFIXES = (".h5", ".hdf5", ".h5md")
ZARR_SUFFIX = ".zarr"
_SAME_BOX = 1e-5


class H5mdTrajectory:
    """Columns of a file, `[num_frames, N, D + F]`, of which only the frames that are used are read.

    Args:
        path: The file, or the directory of a Zarr store.
        manifest: The manifest of the dataset.

    Raises:
        UserError: The file cannot be opened, an array is missing or has another shape, or its box is not that of the
            dataset.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._path, self._manifest = path, manifest
        self._particles = _particles(path, open_root(path))
        position = self._array("position")
        if position.ndim != 3 or position.shape[2] != manifest.num_dimensions or not position.size:
            expected = f"[num_frames, N, {manifest.num_dimensions}]"
            raise UserError(f"{path}: expected `position` {expected}, found {list(position.shape)}")
        self.dtype = np.dtype(position.dtype).newbyteorder("=")
        if self.dtype not in (np.float32, np.float64):
            raise UserError(f"{path}: expected `position` of dtype float32 or float64, found {position.dtype}")
        self._check_chunks(position)
        self.shape = (position.shape[0], position.shape[1], manifest.num_columns)
        self._columns: list[tuple[Any, int | None]] = [(position, axis) for axis in range(manifest.num_dimensions)]
        self._columns += [self._feature(name) for name in manifest.features]
        self._check_box()

    def __len__(self) -> int:
        """num_frames."""
        return self.shape[0]

    def __getitem__(self, frames: int | slice | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Read one frame, a slice with a positive step, or frames in ascending order."""
        if isinstance(frames, int | np.integer):
            return self[int(frames) : int(frames) + 1][0]
        if not isinstance(frames, slice):
            return self[int(frames[0]) : int(frames[-1]) + 1][frames - frames[0]]
        read: dict[int, npt.NDArray[Any]] = {}
        count = len(range(len(self))[frames])
        columns = np.empty((count, *self.shape[1:]), self.dtype)
        for place, (array, component) in enumerate(self._columns):
            if id(array) not in read:
                read[id(array)] = array if isinstance(array, np.ndarray) else self._read(array, frames)
            values = read[id(array)]
            columns[..., place] = values if component is None else values[..., component]
        return columns

    def _read(self, array: Any, frames: slice) -> npt.NDArray[Any]:
        try:
            return np.asarray(array[frames])
        except MemoryError:
            raise
        except Exception as error:  # damaged chunks give errors of many types
            chosen = range(len(self))[frames]
            where = f"frames {chosen[0]} to {chosen[-1]}" if chosen else "no frames"
            reason = str(error) or type(error).__name__
            raise UserError(f"{self._path}: {array.name}: cannot read {where}; the file is damaged: {reason}") from None

    def _check_chunks(self, position: Any) -> None:
        """Refuse a Zarr store that lacks chunks of the positions: it would read as zeros."""
        count = getattr(position, "nchunks", 0)
        found = position.nchunks_initialized if count else 0
        if found != count:
            raise UserError(
                f"{self._path}: expected {count} chunks of `position`, found {found}; the copy is not complete"
            )

    def _array(self, name: str) -> Any:
        """An array by its name, or in the `value` of its group."""
        found = self._particles[name] if name in self._particles else None
        if found is not None and not hasattr(found, "shape"):
            found = found["value"] if "value" in found else None
        if found is None:
            there = ", ".join(sorted(self._particles.keys())) or "nothing"
            raise UserError(f"{self._path}: expected the array `{name}` (or `{name}/value`), found {there}")
        return found

    def _feature(self, name: str) -> tuple[Any, int | None]:
        """The array of a feature, in memory if it is constant in time, and which component of it."""
        vector, _, axis = name.rpartition("_")
        is_component = name not in self._particles and axis in ("x", "y", "z") and vector in self._particles
        component = "xyz".index(axis) if is_component else None
        num_frames, num_particles, _ = self.shape
        array = self._array(vector if is_component else name)
        size = () if component is None else (self._manifest.num_dimensions,)
        if tuple(array.shape) == (num_particles, *size):
            return np.asarray(array[...])[None], component
        if tuple(array.shape) == (num_frames, num_particles, *size):
            return array, component
        expected = [list((num_particles, *size)), list((num_frames, num_particles, *size))]
        raise UserError(f"{self._path}: expected {name!r} {expected[0]} or {expected[1]}, found {list(array.shape)}")

    def _check_box(self) -> None:
        """Refuse a box that is not the one that the manifest states for all frames."""
        box: Any = self._particles["box"] if "box" in self._particles else {}
        if "edges" not in box or self._manifest.box_files is not None:
            return
        if self._manifest.box is None:
            if all(_text(kind) == "none" for kind in box.attrs.get("boundary", ["periodic"])):
                return
            raise UserError(
                f"{self._path}: has a periodic box (`box/edges`), but {MANIFEST_FILE} states none; expected `box`, or "
                "`box_files`, in it"
            )
        edges = box["edges"] if hasattr(box["edges"], "shape") else box["edges"]["value"]
        found, size = np.asarray(edges[...]), self._manifest.num_dimensions
        is_fixed = hasattr(box["edges"], "shape")
        found = lattice_vectors(found[None] if is_fixed else found, size, leading=1)
        stated = lattice_vectors(self._manifest.box, size)
        different = np.abs(found - stated).max(axis=(1, 2)) > _SAME_BOX * np.abs(stated).max()
        if different.any():
            frame = int(np.argmax(different))
            raise UserError(
                f"{self._path}: expected the `box` of {MANIFEST_FILE} in all frames, found {found[frame].tolist()} in "
                f"frame {frame}; state the boxes of all frames in `box_files`"
            )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def open_root(path: Path) -> Any:
    """The root group of an HDF5 file or a Zarr store, to read.

    Raises:
        UserError: There is no such file, it is damaged, or the library is missing.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    is_zarr = path.suffix == ZARR_SUFFIX
    library = load_library(path)
    try:
        return library.open_group(path, mode="r", zarr_format=3) if is_zarr else library.File(path, "r")
    except Exception as error:  # damaged files give errors of many types
        kind = "a Zarr store of version 3" if is_zarr else "an HDF5 file"
        raise UserError(f"{path}: not {kind}, or truncated: {str(error) or type(error).__name__}") from None


def load_library(path: Path) -> Any:
    """h5py or zarr, by the suffix of a file.

    Raises:
        UserError: It is not installed.
    """
    name = "zarr" if path.suffix == ZARR_SUFFIX else "h5py"
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{path}: needs the package {name}: {install_command('formats')}") from None


def _particles(path: Path, root: Mapping[str, Any]) -> Any:
    """The only group of particles."""
    groups = sorted(root["particles"].keys()) if "particles" in root else []
    if len(groups) != 1:
        found = ", ".join(groups) or f"none; the file has {', '.join(sorted(root.keys())) or 'nothing'}"
        raise UserError(f"{path}: expected one group in `particles` that holds `position/value`, found {found}")
    return root["particles"][groups[0]]
