"""A trajectory on disk: frames are read when they are needed, and memory does not grow with the file."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines import npy_files
from pipelines.fingerprint import stamp_of
from pipelines.h5md import HDF5_SUFFIXES, ZARR_SUFFIX, H5mdTrajectory
from pipelines.manifest import Manifest
from pipelines.open_files import Kept

SUFFIXES = (".npy", *HDF5_SUFFIXES, ZARR_SUFFIX)
"""Suffixes of trajectory files."""
_CHUNK_NUMBERS = 1 << 17
_OPENED = Kept()

Frames = int | slice | npt.NDArray[np.int64]
"""Frames of a trajectory: the number of one, a slice with a positive step, or numbers in ascending order."""


@dataclasses.dataclass(frozen=True)
class StoredTrajectory:
    """A trajectory on disk whose header was checked. It keeps no file open, so any number of them can exist.

    `trajectory[frames]` reads frames, `[..., N, D + F]`, in native byte order and C order; float32, or float64 if they
    are stored so.
    """

    path: Path
    """The file."""
    manifest: Manifest = dataclasses.field(repr=False)
    """Describes the columns."""
    shape: tuple[int, int, int]
    """(num_frames, N, D + F)."""
    dtype: np.dtype[Any]
    """float32 or float64."""
    conversion: str | None
    """How the file differs from float32 in native byte order and C order, in words."""
    stamp: tuple[int, ...] = dataclasses.field(repr=False)
    """Size, times of the last changes and place of the file: another file of this name is opened anew."""
    boxes: npt.NDArray[np.float64] | None = dataclasses.field(default=None, compare=False)
    """Lattice vectors of the periodic box, `[num_frames, D, D]`, or `[1, D, D]` for all frames."""
    edges: npt.NDArray[np.int32] | None = dataclasses.field(default=None, compare=False)
    """Bonds as rows of i, j and type, `[E, 3]`."""

    @classmethod
    def check(cls, path: Path, manifest: Manifest) -> "StoredTrajectory":
        """Check the header of a file.

        Args:
            path: The file.
            manifest: The manifest of its dataset.

        Raises:
            UserError: As `pipelines.npy_files.open_trajectory` or `pipelines.h5md.H5mdTrajectory`.
        """
        path = Path(path)
        opened = _open(path, manifest)
        dtype = np.dtype(np.float64 if opened.dtype.itemsize == 8 else np.float32)
        return cls(path, manifest, opened.shape, dtype, npy_files.conversion(opened), stamp_of(path))

    def __len__(self) -> int:
        """num_frames."""
        return self.shape[0]

    def __getitem__(self, frames: Frames) -> npt.NDArray[Any]:
        """Read some frames."""
        return np.array(self.open()[frames], self.dtype, order="C")

    def open(self) -> Any:
        """The frames as they are stored, an array of which only the frames that are used are read.

        The file stays open as long as the result is used, and as `Kept` says.
        """
        return _OPENED.get((self.path, self.stamp), self.stamp[0], lambda: _open(self.path, self.manifest))

    @property
    def positions(self) -> slice:
        """The columns of positions."""
        return slice(self.manifest.num_dimensions)


def _open(path: Path, manifest: Manifest) -> Any:
    if path.suffix in (*HDF5_SUFFIXES, ZARR_SUFFIX):
        return H5mdTrajectory(path, manifest)
    # A plain view: indexing a `numpy.memmap` takes twice as long.
    return npy_files.open_trajectory(path, manifest.num_columns).view(np.ndarray)


def frame_chunks(trajectory: Any, overlap: int = 0) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Read a long trajectory in chunks of about half a megabyte.

    Args:
        trajectory: A `StoredTrajectory` or an array, `[num_frames, ...]`.
        overlap: Frames at the end of a chunk that the next one begins with.

    Yields:
        Index of the first frame, and the frames.
    """
    step = max(1, _CHUNK_NUMBERS // max(1, math.prod(trajectory.shape[1:])))
    for start in range(0, len(trajectory) - overlap, step):
        yield start, np.asarray(trajectory[start : start + step + overlap])
