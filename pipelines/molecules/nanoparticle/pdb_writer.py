"""Frames as PDB files."""

import numpy as np
import numpy.typing as npt

from pipelines.molecules.nanoparticle.beads import Beads

_ANGSTROM = 10.0  # in a nm


def pdb_text(beads: Beads, positions: npt.NDArray[np.floating], frame: int, time: float) -> str:
    """Write a frame as the text of a PDB file; the first frame of a simulation has the bonds, too.

    Args:
        beads: Names and numbers; numbers start again after the largest one that fits.
        positions: `[num_beads, 3]`, in nm.
        frame: Number of the frame, for a remark.
        time: Time in ps, for a remark.

    Returns:
        The text.
    """
    lines = [f"REMARK   1 COARSE-GRAINED STAND-IN, FRAME {frame}, {time:.2f} PS AFTER THE HEADS BECAME DIFFERENT"]
    for serial, (name, molecule, number, (x, y, z)) in enumerate(
        zip(beads.names, beads.molecules, beads.numbers.tolist(), (positions * _ANGSTROM).tolist(), strict=True), 1
    ):
        element = name if name == "AU" else "C"
        label = f"{name:<4s}" if len(element) == 2 else f" {name:<3s}"
        lines.append(
            f"HETATM{serial % 100_000:5d} {label} {molecule:>3s} A{number % 10_000:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2s}"
        )
    bonds = _bonds(beads) if frame == 0 else []
    return "\n".join([*lines, *bonds, "END", ""])


def _bonds(beads: Beads) -> list[str]:
    """CONECT records, one per bond."""
    return [f"CONECT{first % 100_000:5d}{second % 100_000:5d}" for first, second in (beads.bonds + 1).tolist()]
