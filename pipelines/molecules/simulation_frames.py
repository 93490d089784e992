"""The frames of a simulation, checked against the first one: the same atoms in one order, the same periodic axes."""

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.boxes import Array
from pipelines.errors import UserError
from pipelines.molecules.formats.frame import IncompleteFileError, Labels, RawFrame, Topology
from pipelines.molecules.reading import read_frames

Names = npt.NDArray[np.str_]
Flags = npt.NDArray[np.bool_]
_COMPARED_LETTERS = 4  # PDB files cut longer names off


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a simulation."""

    path: Path
    """The file."""
    index: int
    """Number of the frame in the file, from 0."""
    positions: npt.NDArray[np.float64]
    """`[n, 3]`, in angstrom, of all atoms or of `atoms`."""
    box: npt.NDArray[np.float64] | None
    """Box vectors `[3, 3]`, one per row, in angstrom, zeros for an open axis; None if all axes are open."""
    time: float | None
    """Time in picoseconds; None if the format has none."""
    velocities: npt.NDArray[np.float64] | None = None
    """As `positions`, in angstrom per picosecond; None if the frame states none."""
    atoms: npt.NDArray[np.intp] | None = None
    """Numbers of the atoms that were read, ascending; None for all."""

    def finite_positions(self, atoms: npt.NDArray[np.intp]) -> Array:
        """Positions of some atoms.

        Args:
            atoms: `[n]`, from 0.

        Returns:
            `[n, 3]`, in angstrom.

        Raises:
            UserError: A coordinate is not finite.
        """
        return self._finite(self.positions[self._places(atoms)], atoms, "coordinates")

    def finite_velocities(self, atoms: npt.NDArray[np.intp]) -> Array:
        """Velocities of some atoms; arguments and result as of `finite_positions`, in angstrom per picosecond.

        Raises:
            UserError: The frame has no velocities, or one is not finite.
        """
        if self.velocities is None:
            raise UserError(
                f"{self.path}: frame {self.index} states no velocities; expected velocities in every frame, or the "
                "command without `--velocities`"
            )
        return self._finite(self.velocities[self._places(atoms)], atoms, "velocities")

    def _places(self, atoms: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return atoms if self.atoms is None else np.searchsorted(self.atoms, atoms)

    def _finite(self, values: Array, atoms: npt.NDArray[np.intp], what: str) -> Array:
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise UserError(
                f"{self.path}: frame {self.index}: atom {atoms[wrong[0]]} (from 0): expected finite {what}, "
                f"found {values[wrong[0]].tolist()}"
            )
        return values


class SimulationFrames:
    """Iterates over the frames of a simulation that have positions, and counts what the user should know.

    Args:
        parts: The trajectory files, in the order of time.
        topology: Its atoms.
        input_unit: Unit of the numbers in the files, "angstrom" or "nm"; "auto" for that of the format.
        drop_incomplete: Whether files that end early are used up to their last complete frame, or refused.
        atoms: Numbers of the atoms to read, ascending; None for all.
    """

    def __init__(
        self,
        parts: Sequence[Path],
        topology: Topology,
        input_unit: str = "auto",
        drop_incomplete: bool = False,
        atoms: npt.NDArray[np.intp] | None = None,
    ) -> None:
        self._parts = parts
        self._topology = topology
        self._input_unit = input_unit
        self._drop_incomplete = drop_incomplete
        self._atoms = atoms
        self._labels: dict[str, tuple[RawFrame, Labels]] = {}
        self._box: Array | None = None
        self._box_varies = False
        self.periodic_axes = ""
        """Axes that are periodic, such as "xyz", "xy" or ""."""
        self.boxes_carried_on = 0
        """Frames without a box, for which the constant box of the frames before them was used."""
        self.without_positions = 0
        """Frames of velocities or forces only, which were skipped."""
        self.incomplete = 0
        """Files that end early, whose complete frames were used."""

    def __iter__(self) -> Generator[Frame]:
        """Read all files.

        Yields:
            The frames.

        Raises:
            UserError: A file cannot be read to its end, no frame has positions, or a frame has other atoms, another
                order of atoms or a box along other axes than the first.
        """
        is_first = True
        for path in self._parts:
            for raw in self._whole_frames(path):
                if raw.positions is None:
                    self.without_positions += 1
                    continue
                self._check_atoms(raw)
                box = self._follow_box(raw, is_first)
                yield Frame(raw.path, raw.index, raw.positions, box, raw.time, raw.velocities, self._atoms)
                is_first = False
        if is_first:
            raise UserError(
                f"{self._parts[0]}: expected a frame with positions, found {self.without_positions} without"
            )

    def _whole_frames(self, path: Path) -> Iterator[RawFrame]:
        found = 0
        try:
            for raw in read_frames(path, self._topology.num_atoms, self._input_unit, self._atoms):
                found += 1
                yield raw
        except IncompleteFileError as error:
            if not found:
                raise
            if not self._drop_incomplete:
                raise UserError(
                    f"{error}; expected a complete file, or `--incomplete-frames drop` to use its first {found} frames"
                ) from None
            self.incomplete += 1

    def _check_atoms(self, raw: RawFrame) -> None:
        """Compare names and numbers with those of the first frame, where the format has them."""
        labels = raw.labels
        if labels is None:
            return
        if labels.format not in self._labels:
            self._labels[labels.format] = raw, labels
            self._check_topology(raw, labels)
            return
        first, expected = self._labels[labels.format]
        different = labels.rows != expected.rows
        if different.any():
            atom = int(np.argmax(different))
            raise UserError(
                f"{raw.where}: atom {atom} (from 0): expected {_text(expected.rows[atom])} as in frame {first.index} "
                f"of {first.path}, found {_text(labels.rows[atom])}; every frame must list the atoms in one order"
            )

    def _check_topology(self, raw: RawFrame, labels: Labels) -> None:
        """Compare the names with those of the topology.

        Residues may have another name there, such as WAT for SOL, but not that of another molecule.
        """
        if labels.atom_names is not None:
            found, stated = _compared(labels.atom_names), self._topology.atom_names
            self._refuse(found != _short(stated), raw, "atom", found, stated)
        if labels.molecule_names is not None:
            found, stated = _compared(labels.molecule_names), self._topology.molecule_names
            self._refuse((found != _short(stated)) & np.isin(found, _short(stated)), raw, "residue", found, stated)

    def _refuse(self, different: Flags, raw: RawFrame, kind: str, found: Names, expected: Names) -> None:
        if different.any():
            atom = int(np.argmax(different))
            raise UserError(
                f"{raw.where}: atom {atom} (from 0): expected {kind} {expected[atom]} as in {self._topology.path}, "
                f"found {kind} {found[atom]}; expected a `--topology` that lists the atoms in this order, or none if "
                "the trajectory names its molecules"
            )

    def _follow_box(self, raw: RawFrame, is_first: bool) -> Array | None:
        """The box of a frame; None if all axes are open."""
        stated = raw.box
        if is_first:
            self._box = stated
            self.periodic_axes = _axes(stated)
        elif stated is None:
            if self.periodic_axes and self._box_varies:
                raise UserError(
                    f"{raw.where}: expected a box, because the boxes of the frames before it vary; found none"
                )
            self.boxes_carried_on += bool(self.periodic_axes)
        else:
            if _axes(stated) != self.periodic_axes:
                raise UserError(
                    f"{raw.where}: expected {_box_text(self.periodic_axes)} as in the first frame, "
                    f"found {_box_text(_axes(stated))}; expected a box in every frame or in none"
                )
            self._box_varies |= not np.array_equal(stated, self._box) if self._box is not None else False
            self._box = stated
        return self._box if self.periodic_axes else None


def _compared(column: npt.NDArray[np.bytes_]) -> Names:
    return _short(np.char.strip(np.char.decode(column, "latin-1")))


def _short(names: Names) -> Names:
    return names.astype(f"U{_COMPARED_LETTERS}")


def _axes(box: Array | None) -> str:
    return "" if box is None else "".join(axis for axis, edge in zip("xyz", box, strict=True) if edge.any())


def _box_text(axes: str) -> str:
    return f"a box that is periodic along {', '.join(axes)}" if axes else "no box"


def _text(label: bytes) -> str:
    return " ".join(label.decode("latin-1").split())
