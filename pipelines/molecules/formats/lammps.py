"""LAMMPS text dumps, in the length unit of the simulation. Their atoms are sorted by `id`."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import checked_vectors
from pipelines.molecules.formats.frame import Array, IncompleteFileError, Labels, RawFrame, wrong_number_of_atoms
from pipelines.molecules.formats.lines import atom_count, numbered_lines

_COORDINATES = (("x", "y", "z"), ("xs", "ys", "zs"), ("xu", "yu", "zu"), ("xsu", "ysu", "zsu"))
_SKIPPED_ITEMS = (b"ITEM: TIMESTEP", b"ITEM: UNITS", b"ITEM: TIME")
Lines = Iterator[tuple[int, bytes]]


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.

    Yields:
        The frames, atoms sorted by `id`, relative to the lower corner of the box. They have no times: a dump
        counts steps and says neither their length nor the unit.

    Raises:
        UserError: A line cannot be read, a column is missing, or a frame has another number of atoms.
        IncompleteFileError: The last frame is cut off.
    """
    lines = _whole_lines(path)
    index = 0
    for index in itertools.count():
        try:
            frame = _frame(path, index, lines, num_atoms)
        except StopIteration:
            raise IncompleteFileError(f"{path}: frame {index} is cut off") from None
        if frame is None:
            break
        yield frame
    if index < 1:
        raise UserError(f"{path}: expected at least one frame, found none")


def _whole_lines(path: Path) -> Lines:
    for number, line in numbered_lines(path):
        if not line.endswith(b"\n"):
            raise IncompleteFileError(f"{path}: line {number} is cut off")
        yield number, line


def _frame(path: Path, index: int, lines: Lines, num_atoms: int) -> RawFrame | None:
    """The next frame; None at the end of the file."""
    number, line = next(((number, line) for number, line in lines if line.strip()), (0, b""))
    if not number:
        return None
    while not line.startswith(b"ITEM: NUMBER OF ATOMS"):
        if not line.startswith(_SKIPPED_ITEMS):
            found = line.decode("latin-1").strip()[:40]
            raise UserError(f"{path}: line {number}: expected ITEM: NUMBER OF ATOMS of a LAMMPS dump, found {found!r}")
        next(lines)
        number, line = next(lines)
    count = atom_count(path, *next(lines))
    if count != num_atoms:
        raise wrong_number_of_atoms(path, index, num_atoms, count)
    box, corner, is_open = _box(path, index, lines)
    number, line = next(lines)
    names = line.decode("latin-1").split()[2:]
    rows = [line.split() for _, line in itertools.islice(lines, count)]
    if len(rows) < count:
        raise IncompleteFileError(f"{path}: frame {index} is cut off after {len(rows)} of {count} atoms")
    try:
        table = np.array(rows).reshape(count, len(names))
        identities, positions = _sorted(f"{path}: frame {index}", names, table, box, corner)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(
            f"{path}: frame {index}: the {count} lines after line {number} cannot be read: {error}"
        ) from None
    box[is_open] = 0.0
    return RawFrame(path, index, positions, box, labels=Labels("LAMMPS dump", identities))


def _sorted(
    where: str, names: list[str], table: npt.NDArray[np.bytes_], box: Array, corner: Array
) -> tuple[npt.NDArray[np.bytes_], Array]:
    """Identities `[num_atoms]` and positions `[num_atoms, 3]`, sorted by `id`."""
    if "id" not in names:
        raise UserError(
            f"{where}: expected a column `id`, because LAMMPS changes the order of atoms; found {' '.join(names)}"
        )
    wanted = next((triple for triple in _COORDINATES if set(triple) <= set(names)), None)
    if wanted is None:
        raise UserError(f"{where}: expected columns `x y z`, `xs ys zs` or `xu yu zu`, found {' '.join(names)}")
    table = table[np.argsort(table[:, names.index("id")].astype(np.int64), kind="stable")]
    positions = table[:, [names.index(name) for name in wanted]].astype(np.float64)
    positions = positions @ box if "s" in wanted[0] else positions - corner
    known = [table[:, names.index(name)] for name in ("id", "mol", "type", "element") if name in names]
    identities = known[0]
    for column in known[1:]:
        identities = np.char.add(np.char.add(identities, b" "), column)
    return identities, positions


def _box(path: Path, index: int, lines: Lines) -> tuple[Array, Array, list[bool]]:
    """Vectors `[3, 3]` and lower corner `[3]` of the box, and which axes are not periodic."""
    _, header = next(lines)
    words = header.decode("latin-1").split()[3:]
    is_tilted = "xy" in words
    boundaries = words[3 * is_tilted :] or ["pp"] * 3
    if not header.startswith(b"ITEM: BOX BOUNDS") or len(boundaries) != 3 or "abc" in words:
        raise UserError(f"{path}: frame {index}: expected BOX BOUNDS of an orthogonal or restricted triclinic box")
    bounds = np.array([_numbers(path, *next(lines), 3 if is_tilted else 2) for _ in range(3)])
    low, high = bounds[:, 0].copy(), bounds[:, 1].copy()
    box = np.zeros((3, 3))
    if is_tilted:
        xy, xz, yz = bounds[:, 2]
        # The bounds enclose the tilted box.
        low -= [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
        high -= [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
        box[1, 0], box[2, 0], box[2, 1] = xy, xz, yz
    box[np.diag_indices(3)] = high - low
    return checked_vectors(box, f"{path}: frame {index}"), low, [boundary != "pp" for boundary in boundaries]


def _numbers(path: Path, number: int, line: bytes, count: int) -> list[float]:
    try:
        values = [float(field) for field in line.split()]
    except ValueError:
        values = []
    if len(values) != count:
        found = line.decode("latin-1").strip()
        raise UserError(f"{path}: line {number}: expected {count} numbers, found {found!r}")
    return values
