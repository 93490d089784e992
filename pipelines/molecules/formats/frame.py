"""Results of the readers: the topology, and frames as the file states them."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError

Array = npt.NDArray[np.float64]


class IncompleteFileError(UserError):
    """A file ends inside a frame, or before the last frame that its header announces."""


@dataclasses.dataclass(frozen=True)
class Topology:
    """Names and residue numbers of the atoms, as the file writes them; each array is `[num_atoms]`."""

    path: Path
    """The file."""
    atom_names: npt.NDArray[np.str_]
    """Atom names."""
    molecule_names: npt.NDArray[np.str_]
    """Residue names."""
    molecule_numbers: npt.NDArray[np.str_]
    """Residue numbers with insertion codes. They are text: some files count in hexadecimal or start again."""
    chains: npt.NDArray[np.str_]
    """Chains and segments."""
    alternates: npt.NDArray[np.str_] | None = None
    """Letters of alternate locations, "" where there is one location; None if the format has none."""
    chain_ends: npt.NDArray[np.bool_] | None = None
    """True for the last atom before a TER record; None if the format has none."""

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.atom_names)


@dataclasses.dataclass(frozen=True)
class Labels:
    """Columns of a frame that identify its atoms, for comparison with other frames of the same format."""

    format: str
    """Name of the format; labels of different formats cannot be compared."""
    rows: npt.NDArray[np.bytes_]
    """One text per atom `[num_atoms]`."""
    atom_names: npt.NDArray[np.bytes_] | None = None
    """Atom names `[num_atoms]`, surrounded by blanks as in the file; None if the format has none."""
    molecule_names: npt.NDArray[np.bytes_] | None = None
    """Residue names `[num_atoms]`, surrounded by blanks as in the file; None if the format has none."""


@dataclasses.dataclass(frozen=True)
class RawFrame:
    """One frame as the file states it, in the unit of the file."""

    path: Path
    """The file."""
    index: int
    """Number of the frame in the file, from 0."""
    positions: Array | None
    """`[num_atoms, 3]`; None if the frame has velocities or forces only."""
    box: Array | None
    """Box vectors `[3, 3]`, one per row. A row of zeros states that this axis is open. None: not stated."""
    time: float | None = None
    """Time in picoseconds; None if the format has none."""
    labels: Labels | None = None
    """Identities of the atoms; None if the format has none."""
    velocities: Array | None = None
    """`[num_atoms, 3]`, in the unit of length per picosecond; None if the frame has none."""

    @property
    def where(self) -> str:
        """File and frame, for messages."""
        return f"{self.path}: frame {self.index}"


def as_float64(values: npt.NDArray[np.floating]) -> Array:
    """The values in double precision; NaN stays NaN without a warning."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def wrong_number_of_atoms(path: Path, frame: int, expected: int, found: int) -> UserError:
    """The error for a frame that does not fit the topology."""
    return UserError(f"{path}: frame {frame}: expected {expected} atoms as in the topology, found {found}")
