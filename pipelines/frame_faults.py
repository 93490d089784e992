"""Faults of the numbers in a trajectory file, found in one pass over its frames."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.counts import counted
from pipelines.jumps import LongMoves, Moves, jump_fault
from pipelines.manifest import Manifest
from pipelines.stored_trajectory import StoredTrajectory, frame_chunks
from pipelines.velocities import velocity_fault


def frame_faults(manifest: Manifest, trajectory: StoredTrajectory, *, has_box: bool) -> list[str]:
    """Read a file once, and find numbers that are not finite, features that change, and impossible motion.

    Args:
        manifest: The manifest of the dataset.
        trajectory: The file.
        has_box: Whether its box, if the dataset has one, is known; without it motion cannot be judged.

    Returns:
        One line per fault: frame, particle and column, what was expected, what was found.
    """
    names = manifest.columns
    not_finite, changes = _NotFinite(names), _Changes(manifest, trajectory[0])
    moves, boxes = Moves(manifest.num_dimensions), trajectory.boxes
    long_moves = None if boxes is None else LongMoves(boxes)
    before = trajectory[0:0]
    for start, frames in frame_chunks(trajectory):
        not_finite.add(start, frames)
        changes.add(start, frames)
        if has_box and not not_finite.count:
            joined = np.concatenate([before, frames])[..., : manifest.num_dimensions]
            moves.add(joined)
            if long_moves is not None:
                long_moves.add(start - len(before), joined)
        before = frames[-1:]
    faults = [changes.fault, not_finite.fault()]
    if has_box and not not_finite.count:
        is_open = [axis for axis in range(manifest.num_dimensions) if boxes is None or not boxes[..., axis].any()]
        faults += [
            jump_fault(trajectory, is_open, moves),
            None if long_moves is None else long_moves.fault(),
            velocity_fault(manifest, trajectory, boxes),
        ]
    return [fault for fault in faults if fault]


class _NotFinite:
    """Numbers that are not finite in float32: the first one, and how many there are."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._first = ""
        self.count = 0

    def add(self, start: int, frames: npt.NDArray[Any]) -> None:
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(frames.astype(np.float32, copy=False))
        if not wrong.any():
            return
        if not self.count:
            frame, particle, column = np.unravel_index(np.argmax(wrong), wrong.shape)
            self._first = (
                f"frame {start + frame}, particle {particle}, column {column} ({self._names[column]}): "
                f"expected a finite number, found {frames[frame, particle, column]}"
            )
        self.count += int(wrong.sum())

    def fault(self) -> str | None:
        return f"{self._first} ({counted(self.count, 'such number')} in the file)" if self.count else None


class _Changes:
    """The first feature that changes in time."""

    def __init__(self, manifest: Manifest, first: npt.NDArray[Any]) -> None:
        self._names = manifest.columns
        self._constant = [k for k, name in enumerate(self._names) if name in manifest.particle_features]
        self._expected = first[:, self._constant]
        self.fault: str | None = None

    def add(self, start: int, frames: npt.NDArray[Any]) -> None:
        if self.fault or not any(
            (frames[:, :, column] != self._expected[:, place]).any() for place, column in enumerate(self._constant)
        ):
            return
        found, expected = frames[:, :, self._constant], self._expected
        different = found != expected
        # NaN differs from itself; numbers that are not finite are another fault.
        changed = different & np.isfinite(found) & np.isfinite(expected)
        if changed.any():
            frame, particle, feature = np.unravel_index(np.argmax(changed), changed.shape)
            column = self._constant[int(feature)]
            self.fault = (
                f"frame {start + frame}, particle {particle}, column {column} ({self._names[column]}): "
                f"expected {expected[particle, feature]} as in frame 0 (features are constant in time), "
                f"found {found[frame, particle, feature]}"
            )
