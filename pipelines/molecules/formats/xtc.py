"""GROMACS XTC trajectories, in nm.

The headers of the frames are read here. A child process unpacks the positions: on damaged files, the library that does
this writes beyond its memory and ends its process.
"""

import contextlib
import importlib.util
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import checked_vectors
from pipelines.molecules.formats.frame import IncompleteFileError, RawFrame, as_float64, wrong_number_of_atoms
from pipelines.molecules.formats.mdanalysis import missing
from pipelines.molecules.formats.xtc_process import Positions, start

_MAGIC = 1995
_HEADER = struct.Struct(">3if9fi")  # magic, atoms, step, time, box, atoms
_PACKING = struct.Struct(">f8i")  # precision, least and greatest coordinates, an index, bytes
_UNPACKED_ATOMS = 9  # frames of so few atoms hold plain numbers


def read_frames(path: Path, num_atoms: int, atoms: npt.NDArray[np.intp] | None = None) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.
        atoms: Numbers of the atoms whose positions are wanted; None for all.

    Yields:
        The frames, with the positions of these atoms.

    Raises:
        UserError: MDAnalysis is missing, the file is damaged, or a frame has another number of atoms.
        IncompleteFileError: The last frame is cut off.
    """
    if not _is_installed():
        raise missing()
    stated, box = None, np.zeros((3, 3))
    unpacked, index = Positions(path, num_atoms, atoms), 0
    with path.open("rb") as file, contextlib.closing(unpacked):
        headers = _headers(path, file, num_atoms)
        values = next(headers, None)
        if values is None:
            raise UserError(f"{path}: expected at least one frame, found none")
        while values is not None:
            fault, following = None, None
            try:
                following = next(headers, None)
            except UserError as error:  # of the frame after this one
                fault = error
            where = f"{path}: frame {index}"
            positions = unpacked.of_frame(index, has_next=following is not None)
            if positions is None:
                raise UserError(f"{where}: the file is damaged: its positions cannot be unpacked")
            if values[4:13] != stated:
                stated = values[4:13]
                box = checked_vectors(stated, where)
            yield RawFrame(path, index, as_float64(positions), box, float(values[3]))
            if fault is not None:
                raise fault
            values, index = following, index + 1


def get_ready() -> None:
    """Start the child process, which takes a second to load its library."""
    if _is_installed():
        start()


def _is_installed() -> bool:
    return importlib.util.find_spec("MDAnalysis") is not None


def _headers(path: Path, file: BinaryIO, num_atoms: int) -> Iterator[tuple[float, ...]]:
    """The headers of all frames."""
    size, index = path.stat().st_size, 0
    while file.tell() < size:
        yield _header(path, index, file, size, num_atoms)
        index += 1


def frame_size(path: Path, num_atoms: int) -> int:
    """Bytes of the first frame; arguments and errors as of `read_frames`."""
    with path.open("rb") as file:
        _header(path, 0, file, path.stat().st_size, num_atoms)
        return file.tell()


def _header(path: Path, index: int, file: BinaryIO, size: int, num_atoms: int) -> tuple[float, ...]:
    """Read the header of a frame and go to the next one."""
    where = f"{path}: frame {index}"
    header = file.read(_HEADER.size)
    if header[:4] != struct.pack(">i", _MAGIC)[: len(header)]:
        raise UserError(f"{where}: the file is damaged or is no XTC file")
    if len(header) < _HEADER.size:
        raise IncompleteFileError(f"{where} is cut off")
    values = _HEADER.unpack(header)
    if values[1] != num_atoms:
        raise wrong_number_of_atoms(path, index, num_atoms, values[1])
    length = 12 * num_atoms
    if num_atoms > _UNPACKED_ATOMS:
        packing = file.read(_PACKING.size)
        if len(packing) < _PACKING.size:
            raise IncompleteFileError(f"{where} is cut off")
        *_, length = _PACKING.unpack(packing)
        length += -length % 4
    if values[-1] != num_atoms or not 0 <= length <= 16 * num_atoms:
        raise UserError(f"{where}: the file is damaged: its header does not fit {num_atoms} atoms")
    if file.tell() + length > size:
        raise IncompleteFileError(f"{where} is cut off")
    file.seek(length, 1)
    return values
