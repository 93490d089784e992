"""All other formats, through MDAnalysis, which is imported when a file is read."""

import functools
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.extras import install_command
from pipelines.molecules.formats.boxes import OPEN, cell_vectors
from pipelines.molecules.formats.frame import (
    IncompleteFileError,
    Labels,
    RawFrame,
    Topology,
    wrong_number_of_atoms,
)
from pipelines.molecules.formats.lines import format_suffix, numbered_lines

_AMBER_TEXT = (".mdcrd", ".crdbox", ".trj")
Result = TypeVar("Result")


def read_topology(path: Path) -> Topology:
    """Read names and residue numbers with MDAnalysis's parser of the format.

    Args:
        path: The file.

    Returns:
        The topology.

    Raises:
        UserError: MDAnalysis is missing, or the file cannot be read or names no molecules.
    """
    atoms = _attempt(f"{path}", lambda: _mdanalysis().Universe(str(path), to_guess=()).atoms)
    if not hasattr(atoms, "resnames") or not hasattr(atoms, "names"):
        raise UserError(
            f"{path}: names neither atoms nor molecules; expected a topology such as PDB, GRO or prmtop. "
            "Give one by --topology"
        )
    alternates = _texts(atoms, "altLocs") if hasattr(atoms, "altLocs") else None
    return Topology(
        path,
        atom_names=_texts(atoms, "names"),
        molecule_names=_texts(atoms, "resnames"),
        molecule_numbers=_texts(atoms, "resids", "icodes", "molnums"),
        chains=_texts(atoms, "segids", "chainIDs"),
        alternates=alternates,
    )


def read_bonds(path: Path) -> npt.NDArray[np.intp]:
    """Read the bonds with MDAnalysis's parser of the format.

    Args:
        path: The file.

    Returns:
        Pairs of atoms, from 0, `[num_bonds, 2]`; none if the file states none.

    Raises:
        UserError: MDAnalysis is missing, or the file cannot be read.
    """

    def read() -> Any:
        universe = _mdanalysis().Universe(str(path), to_guess=())
        return universe.bonds.indices if hasattr(universe, "bonds") else np.zeros((0, 2))

    return np.asarray(_attempt(f"{path}", read)).astype(np.intp)


def select_atoms(path: Path, selection: str) -> npt.NDArray[np.intp]:
    """Numbers of the atoms that a selection in MDAnalysis's language selects, from 0, ascending.

    Raises:
        UserError: MDAnalysis is missing, the file cannot be read, or the selection is none.
    """

    def read() -> Any:
        return np.sort(_mdanalysis().Universe(str(path), to_guess=()).select_atoms(selection).indices)

    return np.asarray(_attempt(f"`select` {selection!r}", read)).astype(np.intp)


def read_attribute(path: Path, name: str, guess: bool = False) -> npt.NDArray[np.float64] | None:
    """Numbers that a topology states of its atoms.

    Args:
        path: The file.
        name: Name of the attribute of one atom in MDAnalysis, such as charge.
        guess: Whether masses are guessed from the names of the atoms where the file states none.

    Returns:
        `[num_atoms]`; None if the file does not state it.

    Raises:
        UserError: MDAnalysis is missing, the file cannot be read, or the attribute is not a number.
    """

    def read() -> Any:
        atoms = _mdanalysis().Universe(str(path), to_guess=("types", "masses") if guess else ()).atoms
        plurals = (f"{name}s", f"{name}es", f"{name.removesuffix('us')}i", name)
        found = next((plural for plural in plurals if hasattr(atoms, plural)), None)
        return None if found is None else getattr(atoms, found)

    values = _attempt(f"{path}", read)
    if values is None:
        return None
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{path}: {name} is not a number (`--feature`); expected one such as mass or charge") from None


def _texts(atoms: Any, *attributes: str) -> npt.NDArray[np.str_]:
    columns = [getattr(atoms, name).astype(str) for name in attributes if hasattr(atoms, name)]
    joined = [" ".join(parts).strip() for parts in zip(*columns, strict=True)]
    return np.array(joined, dtype=np.str_) if columns else np.full(len(atoms), "", dtype=np.str_)


def read_frames(path: Path, num_atoms: int, convert_units: bool = True) -> Iterator[RawFrame]:
    """Read the frames one by one; one is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.
        convert_units: Whether lengths become angstrom, from the unit that the format prescribes.

    Yields:
        The frames.

    Raises:
        UserError: MDAnalysis is missing, or the file cannot be read to its end.
        IncompleteFileError: An AMBER text trajectory is cut off.
    """

    def open_reader() -> Any:
        _mdanalysis()
        from MDAnalysis.coordinates.core import reader

        opened = reader(str(path), n_atoms=num_atoms, convert_units=convert_units)
        return opened, opened.n_frames, opened.n_atoms

    reader, num_frames, found = _attempt(f"{path}", open_reader)
    try:
        if num_frames < 1:
            raise UserError(f"{path}: expected at least one frame, found none")
        if found != num_atoms:
            raise wrong_number_of_atoms(path, 0, num_atoms, found)
        labels = _labels(path, num_atoms)
        for index in range(num_frames):
            where = f"{path}: frame {index}"
            frame = _attempt(where, functools.partial(_frame, path, index, reader, where, labels))
            yield frame
        if format_suffix(path) in _AMBER_TEXT:
            _check_lines(path, num_frames, num_atoms, has_box=frame.box is not OPEN)
    finally:
        _attempt(f"{path}", reader.close)


def _check_lines(path: Path, num_frames: int, num_atoms: int, has_box: bool) -> None:
    """Refuse a cut AMBER text trajectory, whose last lines MDAnalysis leaves out."""
    num_lines = sum(1 for number, line in numbered_lines(path) if number > 1 and line.strip())  # the first is a title
    if num_lines != num_frames * (math.ceil(3 * num_atoms / 10) + has_box):
        raise IncompleteFileError(f"{path}: frame {num_frames} is cut off")


def _frame(path: Path, index: int, reader: Any, where: str, labels: Labels | None) -> RawFrame:
    step = reader[index] if index else reader.ts  # opening has read the first frame
    positions = np.array(step.positions, np.float64) if step.has_positions else None
    box = OPEN if step.dimensions is None else cell_vectors(step.dimensions, where)
    # Without either of the two, MDAnalysis would make up a picosecond per frame.
    time = float(step.time) if "time" in step.data or "dt" in step.data else None
    velocities = np.array(step.velocities, np.float64) if step.has_velocities else None
    return RawFrame(path, index, positions, box, time, labels, velocities)


def _labels(path: Path, num_atoms: int) -> Labels | None:
    """Names of the atoms in formats that are a topology, too, such as CRD, MOL2 and PQR."""
    try:
        topology = read_topology(path)
    except UserError:
        return None
    if topology.num_atoms != num_atoms:
        return None
    columns = (topology.atom_names, topology.molecule_names, topology.molecule_numbers, topology.chains)
    rows = [" ".join(parts) for parts in zip(*columns, strict=True)]
    encoded = [np.char.encode(column, "utf-8") for column in (rows, topology.atom_names, topology.molecule_names)]
    return Labels(path.suffix.lower(), *encoded)


def missing() -> UserError:
    """The error for files that only MDAnalysis reads, where it is not installed."""
    return UserError(
        "reading molecular trajectories of this format needs MDAnalysis, which is not installed; "
        f"expected: {install_command('md')}"
    )


def _mdanalysis() -> Any:
    try:
        import MDAnalysis
    except ImportError:
        raise missing() from None
    return MDAnalysis


def _attempt(where: str, action: Callable[[], Result]) -> Result:
    """Run what may fail in any way on a broken file, and report that in one line."""
    hook = sys.unraisablehook
    # A reader that could not be opened complains once more when it is collected.
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except UserError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = lines[-1 if lines[0].startswith("Failed to construct topology") else 0] if lines else repr(error)
    finally:
        sys.unraisablehook = hook
    raise UserError(f"{where}: cannot be read: {message}")
