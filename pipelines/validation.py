"""Validation of a dataset: every fault of its files in one line."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.counts import counted
from pipelines.errors import UserError
from pipelines.jumps import image_fault, jump_fault
from pipelines.manifest import Manifest
from pipelines.npy_files import frame_chunks, open_trajectory
from pipelines.reruns import rerun_fault
from pipelines.side_files import load_boxes, load_edges
from pipelines.velocities import velocity_fault

SHORTER_WINDOWS = "--subsample, --warm-up-steps and --rollout-steps shorten the windows"


def validate(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> list[str]:
    """Find the faults of a dataset, reading its files in chunks.

    Faults are: a file that is missing, damaged or in two splits; a wrong dtype, rank or number of columns; too few
    frames; numbers that are not finite; features that change in time; positions that jump as in a periodic box where
    there is none (`jump_fault`), or move too far to be followed through one (`image_fault`); boxes and bonds that are
    not what they must be (`pipelines.side_files`); velocities in another unit than the positions (`velocity_fault`);
    re-runs that do not begin at the frame that they restart (`rerun_fault`) or have other features.

    Args:
        directory: The directory of the dataset.
        min_frames: Smallest number of frames of a trajectory.
        splits: The splits whose files to read; all by default.

    Returns:
        One line per fault: file, frame, particle and column, what was expected, what was found.

    Raises:
        UserError: The manifest cannot be read.
    """
    directory = Path(directory)
    manifest = Manifest.load(directory)
    faults = _repeated_files(directory, manifest)
    for split, files in manifest.splits.items():
        if splits is None or split in splits:
            for file in files:
                faults += _file_faults(manifest, directory, file, min_frames)
                for frame, reruns in manifest.reruns_of(file).items():
                    for rerun in reruns:
                        faults += _rerun_faults(manifest, directory, rerun, file, frame)
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


def _file_faults(manifest: Manifest, directory: Path, file: str, min_frames: int) -> list[str]:
    columns = ["x", "y", "z"][: manifest.num_dimensions] + list(manifest.features)
    path, boxes = directory / file, None
    side_faults = []
    try:
        trajectory = open_trajectory(path, len(columns))
    except UserError as error:
        return [str(error)]
    try:
        boxes = load_boxes(manifest, directory, file, len(trajectory))
        load_edges(manifest, directory, file, trajectory.shape[1])
    except UserError as error:
        side_faults = [str(error)]
    constant = [column for column, name in enumerate(columns) if name in manifest.particle_features]
    faults = [_length_fault(trajectory, min_frames), _constant_fault(trajectory, columns, constant)]
    not_finite = _finite_fault(trajectory, columns)
    faults.append(not_finite)
    if not not_finite and not side_faults:
        faults += _motion_faults(manifest, trajectory, boxes)
    return side_faults + [f"{path}: {fault}" for fault in faults if fault]


def _rerun_faults(manifest: Manifest, directory: Path, rerun: str, file: str, frame: int) -> list[str]:
    faults = _file_faults(manifest, directory, rerun, 1)
    try:
        trajectory, original = (open_trajectory(directory / name, manifest.num_columns) for name in (rerun, file))
        boxes = load_boxes(manifest, directory, file, len(original))
    except UserError:  # a fault of either file, which is reported as such
        return faults
    fault = rerun_fault(trajectory, original, frame, manifest.num_dimensions, boxes)
    fault = fault or _other_features(manifest, trajectory[0], original[0])
    return faults if fault is None else [*faults, f"{directory / rerun}: not a re-run of {file}: {fault}"]


def _other_features(manifest: Manifest, rerun: npt.NDArray[Any], original: npt.NDArray[Any]) -> str | None:
    for place, name in enumerate(manifest.features):
        column = manifest.num_dimensions + place
        different = rerun[:, column] != original[:, column]
        if name in manifest.particle_features and different.any():
            particle = int(np.argmax(different))
            return (
                f"particle {particle}, column {column} ({name}): expected {original[particle, column]}, "
                f"found {rerun[particle, column]}"
            )
    return None


def _motion_faults(
    manifest: Manifest, trajectory: npt.NDArray[Any], boxes: npt.NDArray[np.float64] | None
) -> list[str | None]:
    """Faults of positions and velocities, which are finite."""
    axes = range(manifest.num_dimensions)
    is_open = [axis for axis in axes if boxes is None or not boxes[..., axis].any()]
    return [
        jump_fault(trajectory, is_open),
        None if boxes is None else image_fault(trajectory, boxes),
        velocity_fault(manifest, trajectory, boxes),
    ]


def _length_fault(trajectory: npt.NDArray[Any], min_frames: int) -> str | None:
    if len(trajectory) >= min_frames:
        return None
    return f"expected at least {min_frames} frames for one window, found {len(trajectory)}; {SHORTER_WINDOWS}"


def _finite_fault(trajectory: npt.NDArray[Any], columns: list[str]) -> str | None:
    first, count = "", 0
    for start, frames in frame_chunks(trajectory):
        wrong = ~np.isfinite(frames)
        if not first and wrong.any():
            frame, particle, column = np.unravel_index(np.argmax(wrong), wrong.shape)
            first = (
                f"frame {start + frame}, particle {particle}, column {column} ({columns[column]}): "
                f"expected a finite number, found {frames[frame, particle, column]}"
            )
        count += int(wrong.sum())
    return f"{first} ({counted(count, 'such number')} in the file)" if count else None


def _constant_fault(trajectory: npt.NDArray[Any], columns: list[str], constant: list[int]) -> str | None:
    expected = np.asarray(trajectory[0])[:, constant]
    for start, frames in frame_chunks(trajectory):
        found = frames[:, :, constant]
        # NaN differs from itself; numbers that are not finite are another fault.
        changed = (found != expected) & np.isfinite(found) & np.isfinite(expected)
        if changed.any():
            frame, particle, feature = np.unravel_index(np.argmax(changed), changed.shape)
            column = constant[int(feature)]
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
        min_frames: Smallest number of frames of a trajectory.
        splits: The splits whose files to read; all by default.

    Raises:
        UserError: There are faults; the message has the first one and the number of the others.
    """
    faults = validate(directory, min_frames=min_frames, splits=splits)
    if len(faults) > 1:
        raise UserError(f"{faults[0]} ... and {counted(len(faults) - 1, 'more fault')}")
    if faults:
        raise UserError(faults[0])
