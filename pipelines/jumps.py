"""Jumps of wrapped coordinates: positions that leave a periodic box on one side and enter it on the other."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import inverse
from pipelines.manifest import MANIFEST_FILE
from pipelines.stored_trajectory import frame_chunks

_MIN_JUMPS = 3
_MAX_SHARE = 0.1
_LONG_MOVE = 0.4
_MAX_LONG_MOVES = 0.01


class Moves:
    """Range of the positions and longest move along every axis, collected chunk by chunk.

    Args:
        num_dimensions: D.
    """

    def __init__(self, num_dimensions: int) -> None:
        self.lowest = np.full(num_dimensions, np.inf)
        self.highest = np.full(num_dimensions, -np.inf)
        self.longest = np.zeros(num_dimensions)

    def add(self, positions: npt.NDArray[Any]) -> None:
        """Add frames `[k, N, D]`, of which the first one is the last one of the chunk before."""
        for axis in range(positions.shape[-1]):  # several times faster than all axes at once
            coordinates = np.ascontiguousarray(positions[..., axis])
            moves = coordinates[1:] - coordinates[:-1]
            self.lowest[axis] = min(self.lowest[axis], coordinates.min())
            self.highest[axis] = max(self.highest[axis], coordinates.max())
            self.longest[axis] = max(self.longest[axis], moves.max(initial=0.0), -moves.min(initial=0.0))


def jump_fault(trajectory: Any, axes: Iterable[int], moves: Moves, first_frame: int = 0) -> str | None:
    """Look for the jumps that wrapping into a periodic box leaves in a trajectory.

    Along one axis let R be the range of all positions of the file. A move between two frames is a jump if it is
    longer than R / 2 and ordinary if it is at most R / 3. The coordinate was wrapped if

    - there are at least three jumps, and they are at most 10 % of all moves,
    - the two kinds are well apart: the moves between R / 3 and R / 2 are at most 10 % as many as jumps,
    - at least 90 % of the jumps cross the range but for an ordinary move: R - |jump| <= longest ordinary move.

    The second condition spares noise without correlation in time, the third one particles that hop between two
    places, and the first one single extreme moves, such as a close encounter that ejects a particle. Not found are
    coordinates whose typical move exceeds a tenth of the box. The file is read only if a move is longer than R / 2.

    Args:
        trajectory: `[num_frames, N, D + F]`, finite.
        axes: The axes to look along: all without a box, otherwise those on which it is open.
        moves: The `Moves` of all its frames.
        first_frame: Number of the first frame, for the message.

    Returns:
        None, or the fault: frame, particle and length of the first jump, and the number of jumps.
    """
    extents = moves.highest - moves.lowest
    suspicious = [axis for axis in axes if moves.longest[axis] > 0.499 * extents[axis]]
    faults = (_axis_fault(trajectory, axis, float(extents[axis]), first_frame) for axis in suspicious)
    return next((fault for fault in faults if fault), None)


def frames_fault(positions: npt.NDArray[Any], first_frame: int = 0) -> str | None:
    """The same for open systems in memory.

    Args:
        positions: `[T, N, D]` or `[B, T, N, D]`; systems with numbers that are not finite are not looked at.
        first_frame: Number of the first frame, for the message.

    Returns:
        None, or the fault of the first system that has one, with its row if there are several.
    """
    for row, system in enumerate(positions.reshape(-1, *positions.shape[-3:])):
        if not np.isfinite(system).all():
            continue
        moves = Moves(system.shape[-1])
        moves.add(system)
        fault = jump_fault(system, range(system.shape[-1]), moves, first_frame)
        if fault:
            return f"row {row}: {fault}" if positions.ndim == 4 else fault
    return None


def _axis_fault(trajectory: Any, axis: int, extent: float, first_frame: int) -> str | None:
    """As `jump_fault`, along one axis."""
    max_jumps = int(_MAX_SHARE * (trajectory.shape[0] - 1) * trajectory.shape[1])
    jumps, num_between, longest = _split_moves(trajectory, axis, extent, max_jumps)
    if not _MIN_JUMPS <= len(jumps) <= max_jumps or num_between > _MAX_SHARE * len(jumps):
        return None
    if longest == 0 or np.mean(extent - np.abs(jumps[:, 2]) > longest) > _MAX_SHARE:
        return None
    frame, particle, length = jumps[0]
    return (
        f"frame {first_frame + frame:.0f}, particle {particle:.0f}, column {axis} ({'xyz'[axis]}): expected positions "
        f"that are not wrapped into a box, found a jump of {length:.4g} across their range of {extent:.4g}; other "
        f"moves are at most {longest:.2g} ({len(jumps)} such jumps in the file); state the `box` in {MANIFEST_FILE}, "
        "or unwrap the positions (`prepare` does so where the trajectory has a box)"
    )


def _split_moves(
    trajectory: Any, axis: int, extent: float, max_jumps: int
) -> tuple[npt.NDArray[np.float64], int, float]:
    """Jumps as rows (last frame, particle, length), the number of moves of R / 3 to R / 2, the longest ordinary move.

    With more than `max_jumps` the search ends early.
    """
    jumps, num_between, longest = np.empty((0, 3)), 0, 0.0
    for start, frames in frame_chunks(trajectory, overlap=1):
        moves = np.diff(frames[:, :, axis].astype(np.float64), axis=0)
        lengths = np.abs(moves)
        is_jump, is_ordinary = lengths > extent / 2, lengths <= extent / 3
        frame, particle = np.nonzero(is_jump)
        jumps = np.concatenate([jumps, np.stack([start + frame + 1, particle, moves[is_jump]], axis=-1)])
        num_between += int(np.sum(~is_jump & ~is_ordinary))
        longest = max(longest, float(lengths.max(initial=0.0, where=is_ordinary)))
        if len(jumps) > max_jumps:
            break
    return jumps, num_between, longest


class LongMoves:
    """Moves in a periodic box that are too long to tell to which image a particle moved, counted chunk by chunk.

    Along every lattice vector, moves between nearest images are at most half of it. Too many are long if more than 1 %
    exceed 0.4 of it; of moves without any correlation, 20 % would.

    Args:
        boxes: `[num_frames, D, D]`, or `[1, D, D]`.
    """

    def __init__(self, boxes: npt.NDArray[np.float64]) -> None:
        self._boxes = boxes
        self._num_long = self._num_moves = 0

    def add(self, first: int, positions: npt.NDArray[Any]) -> None:
        """Add frames `[k, N, D]`, of which the first one, number `first`, is the last one of the chunk before."""
        moves = np.diff(positions.astype(np.float64), axis=0)
        chosen = self._boxes if len(self._boxes) == 1 else self._boxes[first + 1 : first + 1 + len(moves)]
        turns = moves @ inverse(chosen)
        self._num_long += int(np.sum(np.abs(turns - np.round(turns)).max(axis=-1) > _LONG_MOVE))
        self._num_moves += moves.shape[0] * moves.shape[1]

    def fault(self) -> str | None:
        """None, or the fault: the share of long moves."""
        if self._num_long <= _MAX_LONG_MOVES * self._num_moves:
            return None
        return (
            f"expected moves between frames of less than {_LONG_MOVE:g} of the box, to follow particles through its "
            f"faces; found {100 * self._num_long / self._num_moves:.0f} % longer ones; check the `box`, or store "
            "frames more often"
        )
