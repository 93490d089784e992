"""Trajectory files: one `.npy` file per simulation, float32 `[num_frames, N, D + F]` in C order.

The first D columns are positions in the length unit of the dataset, the other F are features of each particle,
constant in time.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_atomically
from pipelines.errors import UserError, require

_CHUNK_NUMBERS = 1 << 15


def save_trajectory(path: Path, trajectory: npt.NDArray[Any]) -> None:
    """Write a trajectory atomically.

    Args:
        path: The `.npy` file; its directory is created if missing.
        trajectory: `[num_frames, N, D + F]`, stored as float32 in C order.

    Raises:
        UserError: `trajectory` has another rank.
    """
    require(trajectory.ndim == 3, "trajectory", "[num_frames, N, D + F]", trajectory.shape)
    save_chunks(path, trajectory.shape, [trajectory])


def save_chunks(path: Path, shape: Sequence[int], chunks: Iterable[npt.NDArray[Any]]) -> None:
    """Write an array atomically, chunk by chunk: only one chunk is in memory at a time.

    Args:
        path: The `.npy` file; its directory is created if missing.
        shape: Shape of the whole array, such as `[num_frames, N, D + F]` of a trajectory.
        chunks: Consecutive pieces along the first axis; stored as float32 in C order.

    Raises:
        UserError: The chunks do not add up to `shape`.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}
    expected = f"[frames, {', '.join(map(str, shape[1:]))}]"

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        num_frames = 0
        for chunk in chunks:
            require(chunk.shape[1:] == tuple(shape[1:]), "chunks", expected, chunk.shape)
            file.write(np.ascontiguousarray(chunk, dtype="<f4").data)
            num_frames += len(chunk)
        require(num_frames == shape[0], "chunks", f"{shape[0]} frames in total", num_frames)

    write_atomically(Path(path), write)


def open_trajectory(path: Path, num_columns: int) -> np.memmap[Any, np.dtype[np.float32]]:
    """Memory-map a trajectory after checking its header; the content is not read.

    Args:
        path: The `.npy` file.
        num_columns: D + F.

    Returns:
        float32 `[num_frames, N, D + F]`.

    Raises:
        UserError: The file is missing, empty, truncated or not an `.npy` file, has more content than its
            header says, or its dtype, rank, order or number of columns is wrong.
    """
    try:
        trajectory = np.lib.format.open_memmap(path, mode="r")
        num_bytes = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:  # a damaged header gives errors of many types
        raise UserError(f"{path}: not an .npy file, or truncated: {error}") from None
    fault = _header_fault(trajectory, num_columns, num_bytes)
    if fault:
        raise UserError(f"{path}: {fault}")
    return trajectory


def frame_chunks(trajectory: npt.NDArray[Any], overlap: int = 0) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Read a long trajectory in chunks of about a tenth of a megabyte.

    Args:
        trajectory: `[num_frames, ...]`, memory-mapped.
        overlap: Frames at the end of a chunk that the next one begins with.

    Yields:
        Index of the first frame, and the frames.
    """
    step = max(1, _CHUNK_NUMBERS // max(1, math.prod(trajectory.shape[1:])))
    for start in range(0, len(trajectory) - overlap, step):
        yield start, np.asarray(trajectory[start : start + step + overlap])


@dataclasses.dataclass(frozen=True)
class StoredTrajectory:
    """A trajectory on disk whose header was checked. It keeps no file open, so any number of them can exist."""

    filename: str
    """The `.npy` file."""
    offset: int
    """Bytes before the content."""
    shape: tuple[int, int, int]
    """(num_frames, N, D + F)."""
    boxes: npt.NDArray[np.float64] | None = dataclasses.field(default=None, compare=False)
    """Lattice vectors of the periodic box, `[num_frames, D, D]`, or `[1, D, D]` for all frames."""
    edges: npt.NDArray[np.int32] | None = dataclasses.field(default=None, compare=False)
    """Bonds as rows of i, j and type, `[E, 3]`."""

    @classmethod
    def check(cls, path: Path, num_columns: int) -> "StoredTrajectory":
        """Check the header of a file; arguments and errors as for `open_trajectory`."""
        trajectory = open_trajectory(path, num_columns)
        return cls(str(trajectory.filename), trajectory.offset, trajectory.shape)

    def __len__(self) -> int:
        """num_frames."""
        return self.shape[0]

    def read(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Read the frames with the given indices: `[len(frames), N, D + F]`."""
        return np.asarray(open_trajectory(Path(self.filename), self.shape[-1])[frames])


def _header_fault(trajectory: np.memmap[Any, Any], num_columns: int, num_bytes: int) -> str | None:
    shape = trajectory.shape
    if trajectory.dtype != np.float32:
        return f"expected dtype float32, found {trajectory.dtype}"
    if len(shape) != 3:
        return f"expected rank 3, [num_frames, N, {num_columns}], found rank {len(shape)}, {list(shape)}"
    if shape[2] != num_columns:
        return f"expected {num_columns} columns (positions and features), found {shape[2]}"
    if trajectory.size == 0:
        return f"expected at least one frame and one particle, found {list(shape)}"
    if not trajectory.flags.c_contiguous:
        return "expected C order, found Fortran order; save numpy.ascontiguousarray(trajectory)"
    if num_bytes != trajectory.offset + trajectory.nbytes:
        return f"expected {trajectory.offset + trajectory.nbytes} bytes as the header says, found {num_bytes}"
    return None
