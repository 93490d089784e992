"""GROMACS XTC trajectories, in nm.

The headers of the frames are read here. A child process unpacks the positions: on damaged files, the library that does
this writes beyond its memory and ends its process.
"""

import atexit
import contextlib
import functools
import importlib.util
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import checked_vectors
from pipelines.molecules.formats.frame import IncompleteFileError, RawFrame, as_float64, wrong_number_of_atoms
from pipelines.molecules.formats.mdanalysis import missing

_DECODER = Path(__file__).with_name("xtc_decoder.py")
_MAGIC = 1995
_HEADER = struct.Struct(">3if9fi")  # magic, atoms, step, time, box, atoms
_PACKING = struct.Struct(">f8i")  # precision, least and greatest coordinates, an index, bytes
_UNPACKED_ATOMS = 9  # frames of so few atoms hold plain numbers
_last_asked: dict[int, npt.NDArray[np.intp] | None] = {}
"""Child process -> the atoms that it was asked for last."""


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
    if importlib.util.find_spec("MDAnalysis") is None:
        raise missing()
    size, name, stated, box = path.stat().st_size, str(path.resolve()), None, np.zeros((3, 3))
    with path.open("rb") as file:
        index = 0
        while file.tell() < size:
            values = _header(path, index, file, size, num_atoms)
            where = f"{path}: frame {index}"
            size_of_positions = 12 * (num_atoms if atoms is None else len(atoms))
            content = _unpack(name, index, size_of_positions, atoms)
            if len(content) < size_of_positions:
                raise UserError(f"{where}: the file is damaged: its positions cannot be unpacked")
            positions = as_float64(np.frombuffer(content, np.float32).reshape(-1, 3))
            if values[4:13] != stated:
                stated = values[4:13]
                box = checked_vectors(stated, where)
            yield RawFrame(path, index, positions, box, float(values[3]))
            index += 1
    if not index:
        raise UserError(f"{path}: expected at least one frame, found none")


def frame_size(path: Path, num_atoms: int) -> int:
    """Bytes of the first frame; arguments and errors as of `read_frames`."""
    with path.open("rb") as file:
        _header(path, 0, file, path.stat().st_size, num_atoms)
        return file.tell()


def _unpack(name: str, index: int, size: int, atoms: npt.NDArray[np.intp] | None) -> bytes:
    """Positions of atoms in a frame, float32 `[n, 3]`; fewer bytes if the child process ended."""
    process = _decoder()
    chosen: str | list[int] = "all" if atoms is None else atoms.tolist()
    if atoms is not None and _last_asked.get(process.pid) is atoms:
        chosen = "same"
    _last_asked.clear()
    _last_asked[process.pid] = atoms
    assert process.stdin is not None and process.stdout is not None
    content = b""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps([name, index, chosen]).encode() + b"\n")
        process.stdin.flush()
        content = process.stdout.read(size)
    if len(content) < size:
        end_decoder()
    return content


@functools.cache
def _decoder() -> subprocess.Popen[bytes]:
    """The child process, started once for all files; it ends with this process."""
    command = [sys.executable, "-P", "-W", "ignore", str(_DECODER)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    atexit.register(end_decoder)
    return process


def end_decoder() -> None:
    """End the child process, if there is one."""
    if not _decoder.cache_info().currsize:
        return
    process = _decoder()
    process.kill()
    process.communicate()
    _decoder.cache_clear()
    atexit.unregister(end_decoder)


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
