"""Trajectory files: one `.npy` file per simulation, float32 `[num_frames, N, D + F]` in C order.

The first D columns are positions in the length unit of the dataset, the other F are features of each particle,
constant in time. float64, the other byte order and Fortran order are read, too (`pipelines.stored_trajectory`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.atomic_files import write_atomically
from pipelines.errors import UserError, require


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


def save_chunks(path: Path, shape: Sequence[int], chunks: Iterable[npt.NDArray[Any]], dtype: str = "float32") -> None:
    """Write an array atomically, chunk by chunk: only one chunk is in memory at a time.

    Args:
        path: The `.npy` file; its directory is created if missing.
        shape: Shape of the whole array, such as `[num_frames, N, D + F]` of a trajectory.
        chunks: Consecutive pieces along the first axis; stored in C order.
        dtype: float32 or float64.

    Raises:
        UserError: The chunks do not add up to `shape`.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    header = {"descr": stored.str, "fortran_order": False, "shape": tuple(shape)}
    expected = f"[frames, {', '.join(map(str, shape[1:]))}]"

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        num_frames = 0
        for chunk in chunks:
            require(chunk.shape[1:] == tuple(shape[1:]), "chunks", expected, chunk.shape)
            file.write(np.ascontiguousarray(chunk, dtype=stored).data)
            num_frames += len(chunk)
        require(num_frames == shape[0], "chunks", f"{shape[0]} frames in total", num_frames)

    write_atomically(Path(path), write)


def open_trajectory(path: Path, num_columns: int) -> np.memmap[Any, np.dtype[Any]]:
    """Memory-map a trajectory after checking its header; the content is not read.

    Args:
        path: The `.npy` file.
        num_columns: D + F.

    Returns:
        `[num_frames, N, D + F]`, float32 or float64, in any byte order and in C or Fortran order.

    Raises:
        UserError: The file is missing, empty, truncated or not an `.npy` file, has more content than its
            header says, or its dtype, rank or number of columns is wrong.
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


def conversion(trajectory: Any) -> str | None:
    """How frames differ from float32 in native byte order and C order, in words, or None."""
    found = [
        (trajectory.dtype.itemsize == 8, "float64"),
        (not trajectory.dtype.isnative, f"{'big' if trajectory.dtype.byteorder == '>' else 'little'}-endian"),
        (isinstance(trajectory, np.ndarray) and not trajectory.flags.c_contiguous, "Fortran order"),
    ]
    return ", ".join(name for is_so, name in found if is_so) or None


def _header_fault(trajectory: np.memmap[Any, Any], num_columns: int, num_bytes: int) -> str | None:
    shape = trajectory.shape
    if trajectory.dtype.newbyteorder("=") not in (np.float32, np.float64):
        return f"expected dtype float32 or float64, found {trajectory.dtype}"
    if len(shape) != 3:
        return f"expected rank 3, [num_frames, N, {num_columns}], found rank {len(shape)}, {list(shape)}"
    if shape[2] != num_columns:
        return f"expected {num_columns} columns (positions and features), found {shape[2]}"
    if trajectory.size == 0:
        return f"expected at least one frame and one particle, found {list(shape)}"
    if num_bytes != trajectory.offset + trajectory.nbytes:
        return f"expected {trajectory.offset + trajectory.nbytes} bytes as the header says, found {num_bytes}"
    return None
