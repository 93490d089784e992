"""Validation of a dataset: every fault of its files in one line."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.counts import counted
from pipelines.errors import UserError
from pipelines.frame_faults import frame_faults
from pipelines.manifest import Manifest
from pipelines.progress import Progress
from pipelines.reruns import rerun_fault
from pipelines.side_files import open_file
from pipelines.sound_files import SoundFiles
from pipelines.stored_trajectory import StoredTrajectory

SHORTER_WINDOWS = "--subsample, --warm-up-steps and --rollout-steps shorten the windows"


def validate(directory: Path, *, min_frames: int = 1, splits: Sequence[str] | None = None) -> list[str]:
    """Find the faults of a dataset, reading its files once, in chunks.

    A file whose numbers had no fault is noted in `.validated.json`, and not read again until it changes (`SoundFiles`);
    headers, boxes, bonds, lengths and re-runs are checked every time.

    Faults are: a file that is missing, damaged or in two splits; a wrong dtype, rank or number of columns; too few
    frames; numbers that are not finite; features that change in time; positions that jump as in a periodic box where
    there is none (`jump_fault`), or move too far to be followed through one (`LongMoves`); boxes and bonds that are
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
    faults, sound = _repeated_files(directory, manifest), SoundFiles(directory)
    chosen = [file for split, files in manifest.splits.items() if splits is None or split in splits for file in files]
    with Progress(f"checking {directory}", len(chosen), unit="file") as progress:
        for number, file in enumerate(chosen):
            faults += _file_faults(manifest, directory, file, min_frames, sound)
            for frame, reruns in manifest.reruns_of(file).items():
                for rerun in reruns:
                    faults += _rerun_faults(manifest, directory, rerun, file, frame, sound)
            progress.show(number + 1, f"{number + 1} of {counted(len(chosen), 'file')}")
    sound.save()
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


def _file_faults(manifest: Manifest, directory: Path, file: str, min_frames: int, sound: SoundFiles) -> list[str]:
    path, side_fault = directory / file, None
    try:
        trajectory = StoredTrajectory.check(path, manifest)
    except UserError as error:
        return [str(error)]
    try:
        trajectory = open_file(manifest, directory, file)
    except UserError as error:
        side_fault = str(error)
    faults = [] if side_fault is None else [side_fault]
    length_fault = _length_fault(trajectory, min_frames)
    if length_fault:
        faults.append(f"{path}: {length_fault}")
    digest = None if side_fault else sound.digest(_read_files(manifest, directory, file), _settings(manifest))
    if sound.holds(file, digest):
        return faults
    try:
        found = frame_faults(manifest, trajectory, has_box=side_fault is None)
    except UserError as error:  # the file is damaged
        return [*faults, str(error)]
    if not found:
        sound.note(file, digest)
    return faults + [f"{path}: {fault}" for fault in found]


def _read_files(manifest: Manifest, directory: Path, file: str) -> list[Path]:
    """The files that the checks of a file read to their end."""
    box = None if manifest.box_files is None else manifest.box_files[file]
    return [directory / name for name in (file, box) if name is not None]


def _settings(manifest: Manifest) -> dict[str, Any]:
    """The fields of the manifest that the checks of the numbers depend on."""
    return {name: getattr(manifest, name) for name in ("num_dimensions", "features", "box", "time_between_frames")}


def _rerun_faults(
    manifest: Manifest, directory: Path, rerun: str, file: str, frame: int, sound: SoundFiles
) -> list[str]:
    faults = _file_faults(manifest, directory, rerun, 1, sound)
    try:
        trajectory = StoredTrajectory.check(directory / rerun, manifest)
        original = open_file(manifest, directory, file)
        fault = rerun_fault(trajectory, original, frame, manifest.num_dimensions, original.boxes)
        fault = fault or _other_features(manifest, trajectory[0], original[0])
    except UserError:  # a fault of either file, which is reported as such
        return faults
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


def _length_fault(trajectory: StoredTrajectory, min_frames: int) -> str | None:
    if len(trajectory) >= min_frames:
        return None
    return f"expected at least {min_frames} frames for one window, found {len(trajectory)}; {SHORTER_WINDOWS}"


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
