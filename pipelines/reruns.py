"""Re-runs: files that restart another file's simulation at one of its frames, with other random numbers."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.boxes import nearest_image
from pipelines.errors import require

_SHARE_OF_MOVE = 0.1
_ROUNDING = 1e-5  # of the largest coordinate: positions are float32


def check_reruns(reruns: Mapping[str, Mapping[str, str | int]], files: Sequence[str]) -> None:
    """Check the field `reruns` of a manifest.

    Args:
        reruns: File of a re-run -> "of", the file that it restarts, and "frame", the number of the frame in it.
        files: The files of `splits`.

    Raises:
        UserError: An entry has other keys or values of another type, is about a file of `splits` or one outside the
            dataset, or restarts a file that is not in `splits`.
    """
    require(isinstance(reruns, Mapping), "reruns", 'an object: file -> {"of": file, "frame": number}', reruns)
    for file, entry in reruns.items():
        path = PurePath(file)
        inside = file.endswith(".npy") and not path.is_absolute() and ".." not in path.parts
        require(inside and file not in files, "reruns", "about .npy files inside the dataset, not in `splits`", file)
        right = isinstance(entry, Mapping) and set(entry) == {"of", "frame"}
        require(right, f"reruns.{file}", 'an object {"of": file, "frame": number}', entry)
        require(entry["of"] in files, f"reruns.{file}", "a re-run `of` a file of `splits`", entry["of"])
        frame = entry["frame"]
        right = type(frame) is int and frame >= 0
        require(right, f"reruns.{file}", "a re-run from a `frame`, an integer of at least 0", frame)


def rerun_fault(
    rerun: Any,
    original: Any,
    frame: int,
    num_dimensions: int,
    boxes: npt.NDArray[np.float64] | None,
) -> str | None:
    """Check that a file begins at a frame of another one.

    Positions may differ, because files round them, by a tenth of the root mean square move between frames there.

    Args:
        rerun: Trajectory or array `[num_frames, N, D + F]`.
        original: The same of the simulation that it restarts.
        frame: The frame of `original` at which it begins.
        num_dimensions: D.
        boxes: Lattice vectors of the original `[num_frames, D, D]` or `[1, D, D]`, or None.

    Returns:
        None, or the fault: what was expected and found.
    """
    if frame >= len(original):
        return f"expected a `frame` from 0 to {len(original) - 1}, found {frame}"
    if rerun.shape[1:] != original.shape[1:]:
        return f"expected {original.shape[1]} particles, found {rerun.shape[1]}"
    box = None if boxes is None else boxes[min(frame, len(boxes) - 1)]
    expected, found = (np.asarray(values, np.float64)[..., :num_dimensions] for values in (original[frame], rerun[0]))
    apart = np.linalg.norm(_displacement(expected, found, box), axis=-1)
    neighbor = frame + 1 if frame + 1 < len(original) else max(frame - 1, 0)
    moves = _displacement(expected, np.asarray(original[neighbor], np.float64)[..., :num_dimensions], box)
    tolerance = _SHARE_OF_MOVE * np.sqrt(np.mean(np.sum(moves**2, axis=-1))) + _ROUNDING * np.abs(expected).max()
    if not (apart <= tolerance).all():
        return f"expected its positions at frame {frame}, found particle {np.argmax(apart)} {apart.max():.3g} away"
    return None


def _displacement(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], box: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    return end - start if box is None else nearest_image(end - start, box)
