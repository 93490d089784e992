"""The number of frames of a trajectory, estimated before it is read, for the progress of `prepare`."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import UserError
from pipelines.molecules.formats import xtc
from pipelines.molecules.formats.lines import format_suffix

_TEXT = (".pdb", ".ent", ".gro", ".xyz", ".lammpsdump", ".lammpstrj", ".dump")
_COORDINATES = (".dcd", ".trr")
_BYTES_PER_ATOM = 12
"""Three numbers in float32."""


def expected_frames(parts: Sequence[Path], num_atoms: int) -> int | None:
    """Estimate the number of frames from the size of the first file and that of a frame.

    Args:
        parts: The trajectory files of a simulation, which are assumed to be about equally long.
        num_atoms: Atoms of a frame.

    Returns:
        About the number of frames; None for packed files and other formats.
    """
    path, size = parts[0], _frame_size(parts[0], num_atoms)
    return size and len(parts) * max(1, round(path.stat().st_size / size))


def _frame_size(path: Path, num_atoms: int) -> int | None:
    """About the bytes of a frame."""
    suffix = format_suffix(path)
    if suffix != path.suffix.lower():
        return None
    if suffix in _COORDINATES:
        return _BYTES_PER_ATOM * num_atoms
    try:
        if suffix == ".xtc":
            return xtc.frame_size(path, num_atoms)
        if suffix in _TEXT:
            with path.open("rb") as file:
                return sum(map(len, itertools.islice(file, num_atoms)))
    except (OSError, UserError):  # said when the file is read
        pass
    return None
