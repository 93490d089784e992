"""GRO files of one or many frames, in nm."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import checked_vectors
from pipelines.molecules.formats.frame import (
    Array,
    IncompleteFileError,
    Labels,
    RawFrame,
    Topology,
    wrong_number_of_atoms,
)
from pipelines.molecules.formats.lines import atom_count, columns, coordinates, numbered_lines, texts

_POSITIONS = 20  # the column where the coordinates begin
_BOX_PLACES = ([0, 0], [1, 1], [2, 2], [0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1])

NumberedLine = tuple[int, bytes]


def read_topology(path: Path) -> Topology:
    """Read names and residue numbers of the first frame.

    Args:
        path: The file.

    Returns:
        The topology; GRO files have no chains.

    Raises:
        UserError: The file cannot be read or has no atoms.
    """
    _, atoms, _ = next(_blocks(path, None))
    rows = np.array([line for _, line in atoms], dtype=f"S{_POSITIONS}")
    return Topology(
        path,
        atom_names=texts(columns(rows, 10, 15)),
        molecule_names=texts(columns(rows, 5, 10)),
        molecule_numbers=texts(columns(rows, 0, 5)),
        chains=np.full(len(rows), "", dtype=np.str_),
    )


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.

    Yields:
        The frames, without times.

    Raises:
        UserError: A line cannot be read, or a frame has another number of atoms.
        IncompleteFileError: The last frame is cut off.
    """
    box_size = None
    for index, atoms, box_line in _blocks(path, num_atoms):
        numbers, lines = zip(*atoms, strict=True)
        width = _width(path, atoms[0])
        positions = coordinates(path, lines, numbers, _POSITIONS, width)
        values = _box_values(path, index, box_line, box_size)
        box_size = box_size or len(values)
        rows = np.array(lines, dtype=f"S{_POSITIONS}")
        velocities = None
        if len(lines[0].rstrip()) >= _POSITIONS + 6 * width:
            velocities = coordinates(path, lines, numbers, _POSITIONS + 3 * width, width)
        labels = Labels("GRO", columns(rows, 0, 15), columns(rows, 10, 15), columns(rows, 5, 10))
        yield RawFrame(path, index, positions, _box(values, f"{path}: frame {index}"), None, labels, velocities)


def _blocks(path: Path, num_atoms: int | None) -> Iterator[tuple[int, Sequence[NumberedLine], NumberedLine]]:
    """Number, atom lines and box line of every frame."""
    lines, index = numbered_lines(path), 0
    while head := list(itertools.islice(lines, 2)):
        if not any(line.strip() for _, line in head):
            continue  # blank lines at the end
        if len(head) < 2:
            raise IncompleteFileError(f"{path}: frame {index} is cut off after its title")
        count = atom_count(path, *head[1])
        if num_atoms not in (None, count):
            raise wrong_number_of_atoms(path, index, num_atoms or 0, count)
        atoms = list(itertools.islice(lines, count))
        box_line = next(lines, None)
        if box_line is None:
            whole = sum(line.endswith(b"\n") for _, line in atoms)
            raise IncompleteFileError(f"{path}: frame {index} is cut off after {whole} of {count} atoms")
        yield index, atoms, box_line
        index += 1
    if not index:
        raise UserError(f"{path}: expected atoms, found none")


def _width(path: Path, numbered: NumberedLine) -> int:
    """Columns per coordinate: the distance between two decimal points."""
    number, line = numbered
    first = line.find(b".", _POSITIONS)
    second = line.find(b".", first + 1)
    if first < 0 or second < 0:
        found = line.decode("latin-1").strip()
        raise UserError(f"{path}: line {number}: expected three coordinates with decimal points, found {found!r}")
    return second - first


def _box_values(path: Path, index: int, numbered: NumberedLine, size: int | None) -> list[float]:
    """Numbers of a box line; `size` is how many the first frame has."""
    number, line = numbered
    fields = line.split()
    decimals = {len(field.partition(b".")[2]) for field in fields}
    if not line.endswith(b"\n") and (len(decimals) > 1 or len(fields) not in ((3, 9) if size is None else (size,))):
        raise IncompleteFileError(f"{path}: frame {index} is cut off in its box")
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if len(values) not in (3, 9):
        found = line.decode("latin-1").strip()
        raise UserError(f"{path}: line {number}: expected a box of 3 or 9 numbers, found {found!r}")
    return values


def _box(values: list[float], where: str) -> Array:
    box = np.zeros((3, 3))
    for (row, column), value in zip(_BOX_PLACES, values, strict=False):
        box[row, column] = value
    return checked_vectors(box, where)
