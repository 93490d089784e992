"""DCD trajectories of CHARMM, NAMD, OpenMM and others, in angstrom."""

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import OPEN, cell_vectors, checked_vectors
from pipelines.molecules.formats.frame import Array, IncompleteFileError, RawFrame, as_float64, wrong_number_of_atoms

_TIME_UNIT = 0.04888821  # picoseconds: the unit of time that follows from kcal/mol, angstrom and amu
_CELL_ORDER = [0, 2, 5, 4, 3, 1]  # of a, b, c, alpha, beta, gamma in the file


@dataclasses.dataclass(frozen=True)
class _Header:
    """The contents of the header."""

    order: str
    """ "<" or ">", the byte order."""
    num_frames: int
    """Frames announced; 0 in files of some programs."""
    num_atoms: int
    free: npt.NDArray[np.intp] | None
    """Atoms that frames after the first hold; None if all."""
    has_cell: bool
    num_columns: int
    """Records of coordinates per frame, 3 or 4."""
    time_between_frames: float
    """In picoseconds."""
    first_time: float
    """In picoseconds."""


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.

    Yields:
        The frames. Many programs write times that mean nothing.

    Raises:
        UserError: The file is damaged, or has another number of atoms.
        IncompleteFileError: The last frame is cut off, or the header announces more frames.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _header(path, file)
        if header.num_atoms != num_atoms:
            raise wrong_number_of_atoms(path, 0, num_atoms, header.num_atoms)
        index = 0
        fixed: Array | None = None
        while file.tell() < size:
            frame = _frame(path, index, file, header, fixed)
            fixed = frame.positions if header.free is not None and fixed is None else fixed
            yield frame
            index += 1
    if not max(index, header.num_frames):
        raise UserError(f"{path}: expected at least one frame, found none")
    if index < header.num_frames:
        raise IncompleteFileError(f"{path}: the header announces {header.num_frames} frames, the file holds {index}")


def _header(path: Path, file: BinaryIO) -> _Header:
    start = file.read(8)
    order = next((order for order in "<>" if start == struct.pack(f"{order}i", 84) + b"CORD"), None)
    if order is None:
        raise UserError(f"{path}: expected a DCD file, found another header")
    file.seek(0)
    control = struct.unpack(f"{order}20i", _record(path, "the header", file, order)[4:84])
    _record(path, "the title", file, order)
    count = _record(path, "the number of atoms", file, order)
    if len(count) != 4:
        raise UserError(f"{path}: the number of atoms: the file is damaged")
    (num_atoms,) = struct.unpack(f"{order}i", count)
    num_frames, first_step, interval, num_fixed = control[0], control[1], control[2], control[8]
    if num_atoms < 1 or not 0 <= num_fixed < num_atoms:
        raise UserError(f"{path}: the file is damaged: {num_atoms} atoms, of which {num_fixed} are fixed")
    is_charmm = control[19] != 0
    places = struct.pack(f"{order}2i", *control[9:11])
    (step,) = struct.unpack(f"{order}f", places[:4]) if is_charmm else struct.unpack(f"{order}d", places)
    free = None
    if num_fixed:
        free = np.frombuffer(_record(path, "the free atoms", file, order), f"{order}i4").astype(np.intp) - 1
        if len(free) != num_atoms - num_fixed or free.min() < 0 or free.max() >= num_atoms:
            raise UserError(f"{path}: the file is damaged: the list of free atoms does not fit {num_atoms} atoms")
    step *= _TIME_UNIT
    return _Header(
        order,
        num_frames,
        num_atoms,
        free,
        has_cell=is_charmm and control[10] != 0,
        num_columns=4 if is_charmm and control[11] != 0 else 3,
        time_between_frames=step * interval,
        first_time=step * first_step,
    )


def _record(path: Path, what: str, file: BinaryIO, order: str, size: int | None = None) -> bytes:
    """Content of the next record, which its length precedes and follows."""
    marker = file.read(4)
    length = struct.unpack(f"{order}i", marker)[0] if len(marker) == 4 else size
    if length is not None and (length < 0 or size not in (None, length)):
        raise UserError(f"{path}: {what}: the file is damaged: expected a record of {size} bytes, found {length}")
    content = file.read(length or 0)
    end = file.read(4)
    if len(marker) < 4 or len(content) < (length or 0) or len(end) < 4:
        raise IncompleteFileError(f"{path}: {what} is cut off")
    if end != marker:
        raise UserError(f"{path}: {what}: the file is damaged: a record of {length} bytes does not end")
    return content


def _frame(path: Path, index: int, file: BinaryIO, header: _Header, fixed: Array | None) -> RawFrame:
    where, order = f"frame {index}", header.order
    box = OPEN
    if header.has_cell:
        cell = as_float64(np.frombuffer(_record(path, where, file, order, 48), f"{order}f8"))
        box = _box(cell, f"{path}: {where}")
    free = header.free if fixed is not None else None
    count = header.num_atoms if free is None else len(free)
    records = [_record(path, where, file, order, 4 * count) for _ in range(header.num_columns)]
    values = as_float64(np.stack([np.frombuffer(record, f"{order}f4") for record in records[:3]], axis=1))
    if free is not None and fixed is not None:
        positions = fixed.copy()
        positions[free] = values
    else:
        positions = values
    time = header.first_time + index * header.time_between_frames
    return RawFrame(path, index, positions, box, time if header.time_between_frames > 0 else None)


def _box(cell: Array, where: str) -> Array:
    """Vectors of the box: programs write angles, their cosines, or the six numbers of a symmetric matrix."""
    lengths_angles = cell[_CELL_ORDER]
    angles = lengths_angles[3:]
    if (np.abs(angles) <= 1).all():
        return cell_vectors([*lengths_angles[:3], *np.degrees(np.arccos(angles))], where)
    if (cell < 0).any() or (angles > 180).any():
        xx, xy, yy, xz, yz, zz = cell
        return checked_vectors([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], where)
    return cell_vectors(lengths_angles, where)
