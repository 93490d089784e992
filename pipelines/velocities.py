"""Observed velocities: are they those of the positions?"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import nearest_image
from pipelines.manifest import Manifest

_NUM_MOVES = 200
_SAME_DIRECTION = 0.9
_RATIOS = (0.5, 2.0)


def unit_ratio(moves: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> float | None:
    """Ratio of moves to those that velocities imply, if the velocities have another unit or another sign.

    Args:
        moves: Moves between frames `[..., D]`.
        expected: Means of the velocities at both frames times the time between them `[..., D]`.

    Returns:
        The median ratio along the velocity; None if the unit is right, or if the directions do not tell. See
        `velocity_fault`.
    """
    projected, squared = np.sum(moves * expected, axis=-1), np.sum(expected**2, axis=-1)
    moving = (squared > 0) & moves.any(axis=-1)
    if not moving.any():
        return None
    projected, squared, lengths = projected[moving], squared[moving], np.linalg.norm(moves, axis=-1)[moving]
    cosine, ratio = np.median(np.abs(projected) / (lengths * np.sqrt(squared))), float(np.median(projected / squared))
    return None if cosine < _SAME_DIRECTION or _RATIOS[0] <= ratio <= _RATIOS[1] else ratio


def velocity_fault(manifest: Manifest, trajectory: Any, boxes: npt.NDArray[np.float64] | None) -> str | None:
    """Compare observed velocities with the first differences of the positions.

    A particle that moves smoothly goes on by about (v(t) + v(t + 1)) / 2 times the time between two stored frames. The
    velocities have another unit, or another sign, if

    - they have the direction of the moves: the median of |cos| of the angle between the two is at least 0.9,
    - the median of move / (velocity times time), along the velocity, is not between 1/2 and 2.

    The first condition spares particles that change direction between stored frames.

    Args:
        manifest: The manifest of the dataset.
        trajectory: Trajectory or array `[num_frames, N, D + F]`, finite; at most 200 moves, evenly spaced, are
            compared.
        boxes: Lattice vectors `[num_frames, D, D]` or `[1, D, D]`, or None.

    Returns:
        None, or the fault: the ratio found.
    """
    size, start = manifest.num_dimensions, manifest.velocity_start
    if start is None or len(trajectory) < 2:
        return None
    first = np.unique(np.linspace(0, len(trajectory) - 2, _NUM_MOVES).astype(int))
    before, after = (np.asarray(trajectory[frames], np.float64) for frames in (first, first + 1))
    moves = after[..., :size] - before[..., :size]
    if boxes is not None:
        moves = nearest_image(moves, boxes if len(boxes) == 1 else boxes[first + 1])
    columns = slice(size + start, 2 * size + start)
    expected = (before[..., columns] + after[..., columns]) / 2 * manifest.time_between_frames
    ratio = unit_ratio(moves, expected)
    if ratio is None:
        return None
    unit = f"{manifest.length_unit} per {manifest.time_unit or 'unit of `time_between_frames`'}"
    return (
        f"columns {', '.join(manifest.velocity_names)}: expected velocities in {unit}, found moves between frames of "
        f"{ratio:.3g} times velocity x `time_between_frames` = {manifest.time_between_frames:g} (median); convert the "
        "velocities, or correct `time_between_frames`"
    )
