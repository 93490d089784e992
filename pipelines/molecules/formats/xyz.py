"""XYZ trajectories, plain or extended, in angstrom. They name atoms but no molecules, so they are no topologies."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import checked_vectors
from pipelines.molecules.formats.frame import Array, IncompleteFileError, Labels, RawFrame, wrong_number_of_atoms
from pipelines.molecules.formats.lines import atom_count, numbered_lines

_LATTICE = re.compile(rb'Lattice="([^"]*)"', re.IGNORECASE)
_PERIODIC = re.compile(rb'pbc="([^"]*)"', re.IGNORECASE)
_PROPERTIES = re.compile(rb"Properties=(\S+)", re.IGNORECASE)


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.

    Yields:
        The frames, without times. The box is that of `Lattice` and `pbc` in the comment line, or None.

    Raises:
        UserError: A line cannot be read, or a frame has another number of atoms.
        IncompleteFileError: The last frame is cut off.
    """
    lines, index = numbered_lines(path), 0
    for number, line in lines:
        if not line.strip():
            continue  # blank lines at the end
        count = atom_count(path, number, line)
        if count != num_atoms:
            raise wrong_number_of_atoms(path, index, num_atoms, count)
        comment = next(lines, (number, b""))
        atoms = list(itertools.islice(lines, num_atoms))
        if len(atoms) < num_atoms or _is_cut(atoms[-1][1]):
            raise IncompleteFileError(f"{path}: frame {index} is cut off after {len(atoms)} of {num_atoms} atoms")
        names, positions = _columns(path, atoms)
        yield RawFrame(path, index, positions, _box(path, index, comment), labels=Labels("XYZ", names, names))
        index += 1
    if not index:
        raise UserError(f"{path}: expected atoms, found none")


def _is_cut(line: bytes) -> bool:
    """Whether a line without an end has fewer than three coordinates, or fewer decimals in the last one."""
    decimals = [len(field.partition(b".")[2]) for field in line.split()[1:4]]
    return not line.endswith(b"\n") and (len(decimals) < 3 or decimals[2] < max(decimals))


def _columns(path: Path, atoms: Sequence[tuple[int, bytes]]) -> tuple[np.ndarray, Array]:
    names, positions = [], np.empty((len(atoms), 3))
    for row, (number, line) in enumerate(atoms):
        fields = line.split()
        try:
            positions[row] = [float(field) for field in fields[1:4]]
        except ValueError:
            found = line.decode("latin-1").strip()
            raise UserError(f"{path}: line {number}: expected a name and three coordinates, found {found!r}") from None
        names.append(fields[0])
    return np.array(names), positions


def _box(path: Path, index: int, numbered: tuple[int, bytes]) -> Array | None:
    number, comment = numbered
    properties, lattice, periodic = (pattern.search(comment) for pattern in (_PROPERTIES, _LATTICE, _PERIODIC))
    if properties and not properties.group(1).lower().startswith(b"species:s:1:pos:r:3"):
        found = properties.group(1).decode("latin-1")
        raise UserError(f"{path}: line {number}: expected species and positions as the first columns, found {found!r}")
    if not lattice:
        return None
    try:
        vectors = np.array(lattice.group(1).split(), dtype=np.float64).reshape(3, 3)
    except ValueError:
        found = lattice.group(1).decode("latin-1")
        raise UserError(f"{path}: line {number}: expected a lattice of 9 numbers, found {found!r}") from None
    if periodic:
        flags = periodic.group(1).upper().split()
        if len(flags) != 3 or not set(flags) <= {b"T", b"F"}:
            found = periodic.group(1).decode("latin-1")
            raise UserError(f"{path}: line {number}: expected three flags T or F of `pbc`, found {found!r}")
        vectors[[flag == b"F" for flag in flags]] = 0.0
    return checked_vectors(vectors, f"{path}: frame {index}")
