"""Paths of particles as other programs take them: three dimensions, lengths in angstrom and times in ps."""

import dataclasses

import numpy as np

from pipelines.boxes import lattice_vectors

UNKNOWN_TYPE = "X"
_ANGSTROM = {"pm": 1e-2, "angstrom": 1.0, "a": 1.0, "å": 1.0, "nm": 10.0, "um": 1e4, "µm": 1e4, "mm": 1e7, "m": 1e10}
_PS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "us": 1e6, "µs": 1e6, "ms": 1e9, "s": 1e12}


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """One path of every particle. Numbers of unknown unit are those of the data."""

    positions: np.ndarray
    """`[T, N, 3]`, in angstrom; z is 0 in two dimensions."""
    times: np.ndarray
    """`[T]`, in ps."""
    types: tuple[str, ...]
    """`[N]`, the names of the particles' types; X where unknown."""
    box: np.ndarray | None
    """Lattice vectors in rows `[3, 3]`, in angstrom. Open axes are completed, see `_completed`."""
    is_periodic: tuple[bool, bool, bool]
    """Which of these vectors are those of a periodic box."""
    knows_length: bool
    """Whether the unit of length is known."""
    knows_time: bool
    """Whether the unit of time is known."""

    @property
    def time_between_frames(self):
        """In ps; 1 if there is one frame."""
        return float(self.times[-1] - self.times[0]) / (len(self.times) - 1) if len(self.times) > 1 else 1.0


def trajectory(positions, times, length_unit, time_unit, types=None, box=None):
    """Convert paths.

    Args:
        positions: `[T, N, D]`, in `length_unit`.
        times: `[T]`, in `time_unit`.
        length_unit: Such as "nm"; numbers of an unknown one, such as "1", are kept.
        time_unit: Such as "ps", or None; numbers of an unknown one are kept.
        types: `[N]` names, or None.
        box: Edge lengths `[D]` or lattice vectors in rows `[D, D]`, in `length_unit`; zeros for open axes. Or None.

    Returns:
        A `Trajectory`.
    """
    length, time = _factor(_ANGSTROM, length_unit), _factor(_PS, time_unit)
    num_frames, num_particles, num_dimensions = positions.shape
    placed = np.zeros((num_frames, num_particles, 3))
    placed[..., :num_dimensions] = np.asarray(positions, np.float64) * (length or 1.0)
    vectors = None
    if box is not None:
        vectors = np.zeros((3, 3))
        vectors[:num_dimensions, :num_dimensions] = lattice_vectors(box, num_dimensions) * (length or 1.0)
    is_periodic = (False,) * 3 if vectors is None else tuple(vectors.any(axis=1).tolist())
    return Trajectory(
        placed,
        np.asarray(times, np.float64) * (time or 1.0),
        (UNKNOWN_TYPE,) * num_particles if types is None else tuple(types),
        None if vectors is None else _completed(vectors, placed),
        is_periodic,
        length is not None,
        time is not None,
    )


def unknown_units(length_unit, time_unit):
    """A sentence about the units that are not known, or ""."""
    unknown = [] if _factor(_ANGSTROM, length_unit) else [f"length {length_unit!r}"]
    if not _factor(_PS, time_unit):
        unknown.append("time not stated" if time_unit is None else f"time {time_unit!r}")
    if not unknown:
        return ""
    listed = " and ".join(unknown)
    return (
        f"units: {listed}; such numbers are taken as angstrom and ps, so that a file in nm has a tenth of the lengths"
    )


def _factor(table, unit):
    return None if unit is None else table.get(unit.strip().lower().replace("μ", "µ"))


def _completed(vectors, positions):
    """Lattice vectors with an edge along every open axis, which no particle or image comes near.

    Files know boxes that are open along all axes or none. The edge is twice the extent of the paths and the longest
    periodic edge, so that images along an open axis are farther than any others.
    """
    extent = np.ptp(positions.reshape(-1, 3), axis=0)
    edges = 2 * (extent + np.linalg.norm(vectors, axis=1).max())
    is_open = ~vectors.any(axis=1)
    return vectors + np.diag(np.where(is_open, edges, 0.0))
