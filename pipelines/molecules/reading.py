"""Topologies and frames, whatever their format: chooses the reader by the suffix of the file."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats import dcd, gro, lammps, mdanalysis, pdb, trr, xtc, xyz
from pipelines.molecules.formats.frame import RawFrame, Topology
from pipelines.molecules.formats.lines import format_suffix

_ANGSTROM, _NANOMETRE = 1.0, 10.0
_UNITS = {"angstrom": _ANGSTROM, "nm": _NANOMETRE}
_TOPOLOGIES: dict[str, Callable[[Path], Topology]] = {
    ".pdb": pdb.read_topology,
    ".ent": pdb.read_topology,
    ".gro": gro.read_topology,
}
_BONDS: dict[str, Callable[[Path], npt.NDArray[np.intp]]] = {
    ".pdb": pdb.read_bonds,
    ".ent": pdb.read_bonds,
    ".gro": lambda _: np.zeros((0, 2), np.intp),
}
_READERS: dict[str, tuple[Callable[[Path, int], Iterator[RawFrame]], float]] = {
    ".pdb": (pdb.read_frames, _ANGSTROM),
    ".ent": (pdb.read_frames, _ANGSTROM),
    ".gro": (gro.read_frames, _NANOMETRE),
    ".xyz": (xyz.read_frames, _ANGSTROM),
    ".lammpsdump": (lammps.read_frames, _ANGSTROM),
    ".lammpstrj": (lammps.read_frames, _ANGSTROM),
    ".dump": (lammps.read_frames, _ANGSTROM),
    ".xtc": (xtc.read_frames, _NANOMETRE),
    ".trr": (trr.read_frames, _NANOMETRE),
    ".dcd": (dcd.read_frames, _ANGSTROM),
}


def read_topology(path: Path) -> Topology:
    """Read names and residue numbers of all atoms.

    Args:
        path: A topology file, or a trajectory in a format that names its atoms.

    Returns:
        The topology.

    Raises:
        UserError: MDAnalysis is needed and missing, or the file is missing, cannot be read, or names no molecules.
    """
    _check_exists(path)
    return _TOPOLOGIES.get(format_suffix(path), mdanalysis.read_topology)(path)


def read_bonds(topology: Topology) -> npt.NDArray[np.intp]:
    """Read the bonds that a topology file states.

    Args:
        topology: The topology, read before.

    Returns:
        Pairs of atoms, from 0, `[num_bonds, 2]`; none if the file or its format states none.

    Raises:
        UserError: MDAnalysis is needed and missing, or the bonds cannot be read.
    """
    return _BONDS.get(format_suffix(topology.path), mdanalysis.read_bonds)(topology.path)


def read_frames(
    path: Path, num_atoms: int, input_unit: str = "auto", atoms: npt.NDArray[np.intp] | None = None
) -> Iterator[RawFrame]:
    """Read a trajectory file to its end, frame by frame; one frame is in memory at a time.

    Args:
        path: The file.
        num_atoms: Atoms that every frame must have.
        input_unit: Unit of the numbers in the file, "angstrom" or "nm"; "auto" for that of the format.
        atoms: Numbers of the atoms whose positions and velocities are wanted; None for all.

    Yields:
        The frames, with positions and boxes in angstrom.

    Raises:
        UserError: MDAnalysis is needed and missing, or the file is missing, cannot be read, holds no frame, or a
            frame has another number of atoms.
        IncompleteFileError: The file ends inside a frame.
    """
    _check_exists(path)
    reader, native = _READERS.get(format_suffix(path), (None, _ANGSTROM))
    if reader is None:
        frames = mdanalysis.read_frames(path, num_atoms, convert_units=input_unit == "auto")
    else:
        frames = xtc.read_frames(path, num_atoms, atoms) if reader is xtc.read_frames else reader(path, num_atoms)
    scale, chosen = _UNITS.get(input_unit, native), None if reader is xtc.read_frames else atoms
    try:
        for frame in frames:
            yield _scaled(frame, scale, chosen)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def get_ready(paths: Iterable[Path]) -> None:
    """Start what the formats of these files need, so that it loads while the topologies are read."""
    if any(format_suffix(path) == ".xtc" for path in paths):
        xtc.get_ready()


def holds_positions(topology: Path) -> bool:
    """Whether a topology is of a format that holds positions and a box, too."""
    return format_suffix(topology) in _TOPOLOGIES


def _scaled(frame: RawFrame, scale: float, atoms: npt.NDArray[np.intp] | None) -> RawFrame:
    """A frame with numbers times a factor, and only some atoms."""
    chosen = slice(None) if atoms is None else atoms
    box = None if frame.box is None else frame.box * scale
    positions, velocities = (
        None if values is None else values[chosen] * scale for values in (frame.positions, frame.velocities)
    )
    return dataclasses.replace(frame, positions=positions, box=box, velocities=velocities)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: {'expected a file, found a directory' if path.is_dir() else 'no such file'}")
