"""Flat slices of a 3D trajectory (thesis section 3.2, figure 18)."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from pipelines.boxes import Array
from pipelines.errors import UserError

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclasses.dataclass(frozen=True)
class Slice:
    """The molecules near a plane through the centre in the first frame."""

    axis: Array
    """Unit vector `[3]` along which the slice is thin."""
    members: npt.NDArray[np.intp]
    """Their particle numbers in the simulation."""

    def rotate(self, positions: npt.NDArray[np.floating]) -> Array:
        """Positions of the members, rotated by the smallest rotation that takes the axis to z.

        Args:
            positions: `[..., N, 3]` of all particles.

        Returns:
            `[..., len(members), 3]`: the flat slice in the first two columns, the distance from the plane in the third.
        """
        turned = positions[..., self.members, :] @ _rotation_to_z(self.axis).T
        return np.asarray(turned, np.float64)


@dataclasses.dataclass(frozen=True)
class Thinness:
    """Does a slice stay thin? Distances of its members from the plane over time."""

    share_outside: tuple[float, ...]
    """Share of the members beyond the half thickness at the start, at 1/4, 1/2, 3/4 and the end."""
    off_plane: tuple[float, ...]
    """Root mean square distance from the plane over that from the axis at these times: what flattening removes."""


def slice_axes(num_slices: int) -> Array:
    """Axes spread evenly over the half sphere, by a spiral of golden angles; the first is z.

    Args:
        num_slices: Number of axes.

    Returns:
        Unit vectors `[num_slices, 3]`.
    """
    index = np.arange(num_slices)
    z = 1 - index / num_slices
    radius, angle = np.sqrt(1 - z**2), index * _GOLDEN_ANGLE
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _rotation_to_z(axis: Array) -> Array:
    """Matrix `[3, 3]` of the smallest rotation that takes a unit vector with z > 0 to the z axis."""
    from scipy.spatial.transform import Rotation

    perpendicular = np.cross(axis, [0.0, 0.0, 1.0])
    sine = float(np.linalg.norm(perpendicular))
    if sine < 1e-12:
        return np.eye(3)
    return Rotation.from_rotvec(perpendicular / sine * math.atan2(sine, axis[2])).as_matrix()


def cut_slice(first: npt.NDArray[np.floating], axis: Array, half_thickness: float, label: str) -> Slice:
    """Find the particles within the half thickness of a plane through the origin.

    Args:
        first: Positions `[N, 3]` in the first frame.
        axis: Unit vector `[3]` across the plane.
        half_thickness: In the unit of the positions.
        label: Name of the simulation, for the message.

    Returns:
        The slice.

    Raises:
        UserError: No particle is near the plane.
    """
    distances = np.abs(first @ axis)
    members = np.flatnonzero(distances <= half_thickness)
    if not len(members):
        raise UserError(
            f"{label}: the slice across {np.round(axis, 3).tolist()} is empty: expected molecules within "
            f"`--slice-half-thickness {half_thickness:g}` of the plane, found the nearest {distances.min():.3g} away"
        )
    return Slice(axis, members)


def thinness(positions: npt.NDArray[np.floating], piece: Slice, half_thickness: float) -> Thinness:
    """Measure how far the members of a slice leave it.

    Args:
        positions: `[num_frames, N, 3]` of all particles; only five frames are read.
        piece: The slice.
        half_thickness: Half its thickness.

    Returns:
        The thinness at five times.
    """
    last = len(positions) - 1
    outside, off_plane = [], []
    for quarter in range(5):
        turned = piece.rotate(positions[quarter * last // 4])
        distances = np.abs(turned[:, 2])
        # Positions are float32: a member on the border must not count as outside.
        outside.append(float((distances > half_thickness * (1 + 1e-6)).mean()))
        in_plane = float((turned[:, :2] ** 2).sum(axis=1).mean())
        off_plane.append(math.sqrt(float((distances**2).mean()) / in_plane) if in_plane else 0.0)
    return Thinness(tuple(outside), tuple(off_plane))
