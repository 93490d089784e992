"""What a dataset must be: the faults of its manifest and files."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.manifest import Manifest
from pipelines.npy_files import open_trajectory

_CHUNK_NUMBERS = 1 << 22


def validate(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> list[str]:
    """Find every fault of a dataset, reading its files in chunks.

    Args:
        directory: The directory of the dataset.
        min_frames: Frames every trajectory must have at least.
        splits: The splits whose files to read; all by default.

    Returns:
        One line a fault: file, frame, particle and column, what was expected, what was found.

    Raises:
        UserError: The manifest cannot be read.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    faults = _repeated_files(directory, manifest)
    columns = ["x", "y", "z"][: manifest.num_dimensions] + list(manifest.features)
    for split, files in manifest.splits.items():
        if splits is None or split in splits:
            for file in files:
                faults += _file_faults(directory / file, columns, manifest.num_dimensions, min_frames)
    return list(dict.fromkeys(faults))


def _repeated_files(directory: Path, manifest: Manifest) -> list[str]:
    places = defaultdict(list)
    for split, files in manifest.splits.items():
        for file in files:
            places[directory / file].append(split)
    return [
        f"{path}: expected once in one split, found in {', '.join(splits)}"
        for path, splits in places.items()
        if len(splits) > 1
    ]


def _file_faults(path: Path, columns: list[str], num_dimensions: int, min_frames: int) -> list[str]:
    try:
        trajectory = open_trajectory(path, len(columns))
    except UserError as error:
        return [str(error)]
    faults = (
        _length_fault(trajectory, min_frames),
        _finite_fault(trajectory, columns),
        _constant_fault(trajectory, columns, num_dimensions),
    )
    return [f"{path}: {fault}" for fault in faults if fault]


def _length_fault(trajectory: npt.NDArray[Any], min_frames: int) -> str | None:
    if len(trajectory) >= min_frames:
        return None
    return f"expected at least {min_frames} frames for one window, found {len(trajectory)}"


def _chunks(trajectory: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """(first frame, frames) of the pieces of a trajectory."""
    step = max(1, _CHUNK_NUMBERS // math.prod(trajectory.shape[1:]))
    for start in range(0, len(trajectory), step):
        yield start, np.asarray(trajectory[start : start + step])


def _finite_fault(trajectory: npt.NDArray[Any], columns: list[str]) -> str | None:
    first, count = "", 0
    for start, frames in _chunks(trajectory):
        wrong = ~np.isfinite(frames)
        if not first and wrong.any():
            frame, particle, column = np.unravel_index(np.argmax(wrong), wrong.shape)
            first = (
                f"frame {start + frame}, particle {particle}, column {column} ({columns[column]}): "
                f"expected a finite number, found {frames[frame, particle, column]}"
            )
        count += int(wrong.sum())
    return f"{first} ({count} such number{'s' if count > 1 else ''} in the file)" if count else None


def _constant_fault(trajectory: npt.NDArray[Any], columns: list[str], num_dimensions: int) -> str | None:
    expected = np.asarray(trajectory[0, :, num_dimensions:])
    for start, frames in _chunks(trajectory):
        found = frames[:, :, num_dimensions:]
        # NaN differs from itself; what is not finite is a fault of its own.
        changed = (found != expected) & np.isfinite(found) & np.isfinite(expected)
        if changed.any():
            frame, particle, feature = np.unravel_index(np.argmax(changed), changed.shape)
            column = num_dimensions + int(feature)
            return (
                f"frame {start + frame}, particle {particle}, column {column} ({columns[column]}): "
                f"expected {expected[particle, feature]} as in frame 0 (features are constant in time), "
                f"found {found[frame, particle, feature]}"
            )
    return None


def check(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> None:
    """Refuse a dataset with faults; see `validate`.

    Args:
        directory: The directory of the dataset.
        min_frames: Frames every trajectory must have at least.
        splits: The splits whose files to read; all by default.

    Raises:
        UserError: The first fault and the count of the others.
    """
    faults = validate(directory, min_frames=min_frames, splits=splits)
    if len(faults) > 1:
        raise UserError(f"{faults[0]} ... and {len(faults) - 1} more fault{'s' if len(faults) > 2 else ''}")
    if faults:
        raise UserError(faults[0])
