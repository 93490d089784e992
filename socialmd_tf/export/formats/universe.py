"""MDAnalysis: universes of predicted paths, and the files that it writes."""

import contextlib
import warnings

import numpy as np

from pipelines.errors import UserError
from socialmd_tf.export.formats.libraries import check_library

SUFFIXES = (".xtc", ".dcd", ".pdb", ".h5md")
WITHOUT_NAMES = (".xtc", ".dcd", ".h5md")
_PDB_RANGE = (-999.999, 9999.999)
_NM = 0.1  # an angstrom
_FLOAT32_DIGITS = 7


def universe(trajectory, purpose="to_mdanalysis()"):
    """An `MDAnalysis.Universe` with one atom and one residue per particle.

    Args:
        trajectory: A `Trajectory`.
        purpose: What MDAnalysis is needed for, for the message.

    Returns:
        The universe: names of atoms and residues are the types; positions are in angstrom, times in ps.

    Raises:
        UserError: MDAnalysis is not installed, or the box is turned in a way that it cannot hold.
    """
    check_library("MDAnalysis", purpose)
    import MDAnalysis
    from MDAnalysis.coordinates.memory import MemoryReader

    num_particles = trajectory.positions.shape[1]
    made = MDAnalysis.Universe.empty(num_particles, num_particles, atom_resindex=np.arange(num_particles))
    for name in ("names", "types", "resnames"):
        made.add_TopologyAttr(name, np.array(trajectory.types, object))
    made.add_TopologyAttr("resids", np.arange(1, num_particles + 1))
    with _no_warnings():
        made.load_new(
            trajectory.positions.astype(np.float32),
            format=MemoryReader,
            dimensions=_dimensions(trajectory.box),
            dt=trajectory.time_between_frames,
            time_offset=float(trajectory.times[0]),
        )
    return made


def write_universe(trajectory, path):
    """Write a trajectory file.

    Args:
        trajectory: A `Trajectory`.
        path: The file; its suffix, one of `SUFFIXES`, is the format.

    Raises:
        UserError: MDAnalysis is not installed, or the format cannot hold the numbers.
    """
    import MDAnalysis

    written, suffix = universe(trajectory, f"a {path.suffix} file"), path.suffix
    options = {
        ".xtc": {"precision": _decimals(trajectory)},
        ".dcd": {"dt": trajectory.time_between_frames},
        ".pdb": {"multiframe": True, "remarks": _remark(trajectory)},
        ".h5md": _h5md_units(trajectory),
    }[suffix]
    if suffix == ".pdb":
        _check_pdb(trajectory.positions)
    with _no_warnings():
        with MDAnalysis.Writer(str(path), n_atoms=len(written.atoms), **options) as writer:
            for step in written.trajectory:
                writer.write(written.atoms if suffix == ".pdb" else written)
                if suffix == ".pdb" and step.dimensions is not None:
                    writer.CRYST1(step.dimensions)  # the one in the header is not read as that of the first model


def write_topology(trajectory, path):
    """Write the names of the particles as a PDB file of the first frame.

    Positions that a PDB file cannot hold become 0; they are in the trajectory file.

    Args:
        trajectory: A `Trajectory`.
        path: The file, .pdb.

    Raises:
        UserError: MDAnalysis is not installed.
    """
    named = universe(trajectory, "a topology")
    if not _fits_pdb(trajectory.positions[0]):
        named.atoms.positions = np.zeros_like(trajectory.positions[0])
    with _no_warnings():
        named.atoms.write(str(path))


def _dimensions(box):
    """Edge lengths and angles `[6]` of lattice vectors `[3, 3]`.

    MDAnalysis keeps the shape of a box, not its orientation: the first vector is along x, the second in the plane of x
    and y.
    """
    if box is None:
        return None
    from MDAnalysis.lib.mdamath import triclinic_box, triclinic_vectors

    dimensions = triclinic_box(*box)
    if not np.allclose(triclinic_vectors(dimensions), box, atol=1e-4 * np.abs(box).max()):
        raise UserError(
            "`box` must have its first vector along x and its second in the xy plane for MDAnalysis and for .xtc, "
            f".dcd, .pdb and .h5md files; expected .extxyz or .npz. Received: {np.round(box, 3).tolist()}"
        )
    return dimensions


def _decimals(trajectory):
    """Decimals of an XTC file, which keep the digits that float32 has."""
    largest = max(float(np.abs(trajectory.positions).max()) * _NM, 1e-3)
    return int(np.floor(_FLOAT32_DIGITS - np.log10(largest)))


def _remark(trajectory):
    """The times, which a PDB file has no other place for."""
    unit = " ps" if trajectory.knows_time else ""
    return f"EVERY {trajectory.time_between_frames:.6g}{unit} FROM {trajectory.times[0]:.6g}{unit}"


def _h5md_units(trajectory):
    """Options of the H5MD writer: units are stated where they are known."""
    units = {"lengthunit": "Angstrom"} if trajectory.knows_length else {}
    units |= {"timeunit": "ps"} if trajectory.knows_time else {}
    return units or {"convert_units": False}


def _fits_pdb(positions):
    return bool(((positions >= _PDB_RANGE[0]) & (positions <= _PDB_RANGE[1])).all())


def _check_pdb(positions):
    if not _fits_pdb(positions):
        raise UserError(
            f"`output` must not be a .pdb file: it holds coordinates from {_PDB_RANGE[0]} to {_PDB_RANGE[1]} angstrom, "
            f"found {positions.min():.6g} to {positions.max():.6g}; expected .extxyz, .h5md, .xtc or .dcd"
        )


@contextlib.contextmanager
def _no_warnings():
    """MDAnalysis warns of every column that particles do not have, such as charges and elements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
