"""GROMACS TRR trajectories, in nm: uncompressed positions, velocities and forces in single or double precision."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import OPEN, checked_vectors
from pipelines.molecules.formats.frame import Array, IncompleteFileError, RawFrame, as_float64, wrong_number_of_atoms

_MAGIC = struct.pack(">iii", 1993, 13, 12) + b"GMX_trn_file"
_SIZES = struct.Struct(">13i")  # of ten blocks in bytes, then atoms, step, and a count that nobody uses
_BOX, _VIRIAL, _PRESSURE, _POSITIONS, _VELOCITIES, _FORCES = 2, 3, 4, 7, 8, 9


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.

    Yields:
        The frames; positions are None in frames of velocities or forces only.

    Raises:
        UserError: The file is damaged, or a frame has another number of atoms.
        IncompleteFileError: The last frame is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        index = 0
        while file.tell() < size:
            yield _frame(path, index, file, size, num_atoms)
            index += 1
    if not index:
        raise UserError(f"{path}: expected at least one frame, found none")


def _frame(path: Path, index: int, file: BinaryIO, size: int, num_atoms: int) -> RawFrame:
    where = f"{path}: frame {index}"
    header = file.read(len(_MAGIC) + _SIZES.size)
    if header[: len(_MAGIC)] != _MAGIC[: len(header)]:
        raise UserError(f"{where}: the file is damaged or is no TRR file")
    if len(header) < len(_MAGIC) + _SIZES.size:
        raise IncompleteFileError(f"{where} is cut off")
    *sizes, count, _, _ = _SIZES.unpack(header[len(_MAGIC) :])
    if count != num_atoms:
        raise wrong_number_of_atoms(path, index, num_atoms, count)
    kind = _number_type(where, sizes, num_atoms)
    total = 2 * kind.itemsize + sum(sizes)
    if file.tell() + total > size:
        raise IncompleteFileError(f"{where} is cut off")
    block = file.read(total)
    time = float(np.frombuffer(block, kind, 1)[0])
    starts = np.cumsum([2 * kind.itemsize, *sizes])

    def vectors(place: int) -> Array | None:
        stop = starts[place] + sizes[place]
        values = np.frombuffer(block[starts[place] : stop], kind)
        return as_float64(values.reshape(-1, 3)) if len(values) else None

    box = vectors(_BOX)
    return RawFrame(
        path,
        index,
        vectors(_POSITIONS),
        OPEN if box is None else checked_vectors(box, where),
        time,
        None,
        vectors(_VELOCITIES),
    )


def _number_type(where: str, sizes: list[int], num_atoms: int) -> np.dtype[np.float32 | np.float64]:
    """Type of the numbers, from the sizes of the blocks."""
    counts = [0] * len(sizes)  # numbers in each block; those that no program uses are empty
    for place in (_BOX, _VIRIAL, _PRESSURE):
        counts[place] = 9
    for place in (_POSITIONS, _VELOCITIES, _FORCES):
        counts[place] = 3 * num_atoms
    for kind in (np.dtype(">f4"), np.dtype(">f8")):
        fits = all(size in (0, count * kind.itemsize) for size, count in zip(sizes, counts, strict=True))
        if fits and any(sizes):
            return kind
    raise UserError(f"{where}: the file is damaged: its blocks do not hold {num_atoms} atoms")
