"""PDB files of one or many models, separated by MODEL, ENDMDL, END or CRYST1 records."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.boxes import cell_vectors
from pipelines.molecules.formats.frame import (
    Array,
    IncompleteFileError,
    Labels,
    RawFrame,
    Topology,
    wrong_number_of_atoms,
)
from pipelines.molecules.formats.lines import columns, coordinates, numbered_lines, texts

_ATOMS = (b"ATOM", b"HETATM")
_BEGINNINGS = (b"MODEL", b"CRYST1", b"HEADER", b"TITLE")
_CELL_COLUMNS = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
_LAST_COORDINATE = 54
_LAST_SERIAL = 99999


@dataclasses.dataclass
class _Model:
    """Lines of one model."""

    atoms: list[bytes] = dataclasses.field(default_factory=list)
    numbers: list[int] = dataclasses.field(default_factory=list)
    chain_ends: list[int] = dataclasses.field(default_factory=list)
    cell: list[float] | None = None
    is_opened: bool = False
    """By a MODEL record."""
    is_closed: bool = False
    """By a record that cannot be inside a model."""

    @property
    def rows(self) -> npt.NDArray[np.bytes_]:
        return np.array(self.atoms, dtype="S80")


def read_topology(path: Path) -> Topology:
    """Read names, residue numbers and chains of the first model.

    Args:
        path: The file.

    Returns:
        The topology; insertion codes are a part of the numbers, segments a part of the chains.

    Raises:
        UserError: The file cannot be read or has no atoms.
    """
    model = next(_models(path), None)
    if model is None or not model.atoms:
        raise UserError(f"{path}: expected atoms, found none")
    rows = model.rows
    chain_ends = np.zeros(len(rows), dtype=bool)
    chain_ends[[end - 1 for end in model.chain_ends if end]] = True
    chains = np.char.add(np.char.add(texts(columns(rows, 72, 76)), " "), texts(columns(rows, 21, 22)))
    return Topology(
        path,
        atom_names=texts(columns(rows, 12, 16)),
        molecule_names=texts(columns(rows, 17, 21)),
        molecule_numbers=texts(columns(rows, 22, 27)),
        chains=chains,
        alternates=texts(columns(rows, 16, 17)),
        chain_ends=chain_ends,
    )


def read_bonds(path: Path) -> npt.NDArray[np.intp]:
    """Read the CONECT records.

    Args:
        path: The file.

    Returns:
        Pairs of atoms of the first model, from 0, `[num_bonds, 2]`; each may be there twice, as in the file.

    Raises:
        UserError: A record is about a serial number that no atom or that several atoms have.
    """
    records = [(number, line.rstrip()) for number, line in numbered_lines(path) if line.startswith(b"CONECT")]
    if not records:
        return np.zeros((0, 2), np.intp)
    model = next(_models(path))
    serials = [line[6:11].strip() for line in model.atoms]
    places = {serial: atom for atom, serial in enumerate(serials)}
    repeated = {serial for serial, count in Counter(serials).items() if count > 1}
    pairs = []
    for number, line in records:
        atom, *others = (line[start : start + 5].strip() for start in range(6, max(min(len(line), 31), 7), 5))
        others = [other for other in others if other]
        for serial in (atom, *others):
            if serial not in places or serial in repeated:
                owners = "several atoms have" if serial in repeated else "no atom has"
                text = serial.decode("latin-1")
                raise UserError(f"{path}: line {number}: a bond of serial number {text!r}, which {owners}")
        pairs += [(places[atom], places[other]) for other in others]
    return np.array(pairs, np.intp).reshape(-1, 2)


def read_frames(path: Path, num_atoms: int) -> Iterator[RawFrame]:
    """Read the models one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every model must have.

    Yields:
        The frames, without times. The box is None in models without a CRYST1 record.

    Raises:
        UserError: A line cannot be read, or a model has another number of atoms.
        IncompleteFileError: The last model is cut off.
    """
    index = -1
    for index, model in enumerate(_models(path)):
        found = len(model.atoms)
        is_cut = bool(found) and not model.atoms[-1].endswith(b"\n") and len(model.atoms[-1]) < _LAST_COORDINATE
        if is_cut or (found < num_atoms and index and not model.is_closed):
            raise IncompleteFileError(f"{path}: frame {index} is cut off after {found - is_cut} of {num_atoms} atoms")
        if found != num_atoms:
            raise wrong_number_of_atoms(path, index, num_atoms, found)
        yield _frame(path, index, model)
    if index < 0:
        raise UserError(f"{path}: expected atoms, found none")


def _frame(path: Path, index: int, model: _Model) -> RawFrame:
    positions: Array = coordinates(path, model.atoms, model.numbers, 30, 8)
    box = None if model.cell is None else cell_vectors(model.cell, f"{path}: frame {index}")
    rows = model.rows
    labels = Labels("PDB", columns(rows, 12, 27), columns(rows, 12, 16), columns(rows, 17, 21))
    return RawFrame(path, index, positions, box, labels=labels)


def _models(path: Path) -> Iterator[_Model]:
    """Models that have atoms, and a last one that was only opened."""
    model = _Model()
    for number, line in numbered_lines(path):
        if line.startswith(_ATOMS):
            _check_continues(path, number, line, model)
            model.atoms.append(line)
            model.numbers.append(number)
        elif line.startswith(b"TER"):
            model.chain_ends.append(len(model.atoms))
        elif model.atoms and line.startswith((b"END", *_BEGINNINGS)):
            model.is_closed = True
            yield model
            model = _Model()
        if line.startswith(b"CRYST1"):
            model.cell = _cell(path, number, line)
        model.is_opened |= line.startswith(b"MODEL")
    if model.atoms or model.is_opened:
        yield model


def _check_continues(path: Path, number: int, line: bytes, model: _Model) -> None:
    """Refuse the first atom of a next model that no record separates from this one.

    Where one residue alone begins again, the file lists copies of a molecule.
    """
    if not model.atoms or line[6:27] != model.atoms[0][6:27] or model.atoms[-1][17:27] == line[17:27]:
        return
    first, last = line[6:11].strip(), model.atoms[-1][6:11].strip()
    # Serial numbers that have reached the last one that fits begin again in any case.
    if first.isdigit() and last.isdigit() and int(first) < int(last) < _LAST_SERIAL:
        raise UserError(
            f"{path}: line {number}: the atoms begin again with serial number {int(first)} after {int(last)}; expected "
            "MODEL and ENDMDL records around every model, or END between them"
        )


def _cell(path: Path, number: int, line: bytes) -> list[float] | None:
    """Lengths and angles of a CRYST1 record; None if the record is blank."""
    if not line[6:54].strip():
        return None
    try:
        return [float(line[start:stop]) for start, stop in _CELL_COLUMNS]
    except ValueError:
        raise UserError(
            f"{path}: line {number}: expected three lengths and three angles in columns 7 to 54, "
            f"found {line[6:54].decode('latin-1').strip()!r}"
        ) from None
