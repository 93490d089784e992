"""Trajectory files: one `.npy` file a simulation, float32 `[num_frames, N, D + F]` in C order.

D columns of positions, in the length unit of the dataset, then F features of each particle, constant in time.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_atomically
from pipelines.errors import UserError, require


def save_trajectory(path: Path, trajectory: npt.NDArray[Any]) -> None:
    """Write a trajectory, whole or not at all.

    Args:
        path: The `.npy` file; its directory is made if missing.
        trajectory: `[num_frames, N, D + F]`, stored as float32 in C order.

    Raises:
        UserError: `trajectory` has another rank.
    """
    require(trajectory.ndim == 3, "trajectory", "[num_frames, N, D + F]", trajectory.shape)
    array = np.ascontiguousarray(trajectory, dtype=np.float32)
    write_atomically(Path(path), lambda file: np.save(file, array))


def save_chunks(path: Path, shape: Sequence[int], chunks: Iterable[npt.NDArray[Any]]) -> None:
    """Write a trajectory piece by piece, whole or not at all; never more than a piece is in memory.

    Args:
        path: The `.npy` file; its directory is made if missing.
        shape: `[num_frames, N, D + F]` of the whole trajectory.
        chunks: `[frames, N, D + F]`, one after the other; stored as float32 in C order.

    Raises:
        UserError: The pieces don't make up `shape`.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        num_frames = 0
        for chunk in chunks:
            require(chunk.shape[1:] == tuple(shape[1:]), "chunks", f"[frames, {shape[1]}, {shape[2]}]", chunk.shape)
            file.write(np.ascontiguousarray(chunk, dtype="<f4").data)
            num_frames += len(chunk)
        require(num_frames == shape[0], "chunks", f"{shape[0]} frames in all", num_frames)

    write_atomically(Path(path), write)


def open_trajectory(path: Path, num_columns: int) -> np.memmap[Any, np.dtype[np.float32]]:
    """Memory-map a trajectory after checking its header; reads no content.

    Args:
        path: The `.npy` file.
        num_columns: D + F.

    Returns:
        float32 `[num_frames, N, D + F]`.

    Raises:
        UserError: The file is missing, cut short, empty or no `.npy` file, or its dtype, rank, order or
            number of columns is not the expected one.
    """
    try:
        trajectory = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not an .npy file, or cut short: {error}") from None
    fault = _header_fault(trajectory, num_columns)
    if fault:
        raise UserError(f"{path}: {fault}")
    return trajectory


@dataclasses.dataclass(frozen=True)
class StoredTrajectory:
    """A trajectory on disk whose header was checked; it keeps no file open, so there can be any number of them."""

    filename: str
    """The `.npy` file."""
    offset: int
    """Bytes before the content."""
    shape: tuple[int, int, int]
    """(num_frames, N, D + F)."""

    @classmethod
    def check(cls, path: Path, num_columns: int) -> "StoredTrajectory":
        """Check the header of a file; arguments and errors as for `open_trajectory`."""
        trajectory = open_trajectory(path, num_columns)
        return cls(str(trajectory.filename), trajectory.offset, trajectory.shape)

    def __len__(self) -> int:
        """num_frames."""
        return self.shape[0]

    def read(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The frames of the given numbers, `[len(frames), N, D + F]`."""
        return np.asarray(open_trajectory(Path(self.filename), self.shape[-1])[frames])


def _header_fault(trajectory: npt.NDArray[Any], num_columns: int) -> str | None:
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
    return None
