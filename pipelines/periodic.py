"""Geometry in a periodic box of D dimensions, given by its vectors `[D, D]`, one per row.

A row of zeros is an open axis: the pseudo-inverse gives it the fractional coordinate 0, so that it has no images.
None is open space.
"""

import itertools
import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def minimum_image(displacement: Array, box: Array | None) -> Array:
    """The shortest periodic image of every displacement.

    Args:
        displacement: `[..., D]`.
        box: Box vectors `[D, D]` or None. In a triclinic box, the 3^D images around the nearest one in fractional
            coordinates are compared, which is exact for the reduced boxes that simulation programs write.

    Returns:
        `[..., D]`.
    """
    if box is None:
        return displacement
    nearest = displacement - np.round(displacement @ np.linalg.pinv(box)) @ box
    if np.count_nonzero(box - np.diag(np.diag(box))) == 0:
        return nearest
    best, best_square = nearest, (nearest**2).sum(axis=-1)
    for shift in _shifts([1] * len(box))[1:] @ box:
        image = nearest + shift
        square = (image**2).sum(axis=-1)
        closer = square < best_square
        best = np.where(closer[..., None], image, best)
        best_square = np.where(closer, square, best_square)
    return best


def half_width(box: Array) -> float:
    """Half the smallest distance between opposite faces: longer moves cannot be told from their images."""
    return float(0.5 / np.linalg.norm(np.linalg.pinv(box), axis=0).max())


def volume(box: Array | None) -> float:
    """Volume (area) of a box `[D, D]`; infinite if an axis is open."""
    if box is None or not box.any(axis=1).all():
        return math.inf
    return float(abs(np.linalg.det(box)))


def cell_index(positions: Array, box: Array) -> Array:
    """Number of the copy of the box along each of its vectors in which a position lies.

    The box itself, with a corner at the origin, has the numbers 0.

    Args:
        positions: `[..., D]`.
        box: Box vectors `[D, D]`.

    Returns:
        Whole numbers `[..., D]`; 0 for open axes.
    """
    numbers: Array = np.floor(positions @ np.linalg.pinv(box))
    return np.where(box.any(axis=1), numbers, 0.0)


def wrap(positions: Array, box: Array | None) -> Array:
    """The images of positions `[..., D]` in the box that has a corner at the origin."""
    return positions if box is None else positions - cell_index(positions, box) @ box


def images_near(positions: Array, box: Array | None, distance: float) -> tuple[Array, npt.NDArray[np.intp]]:
    """All periodic images that can lie within a distance of some particle in the box.

    Args:
        positions: `[N, D]`; those in the box, see `wrap`, are the particles themselves.
        box: Box vectors `[D, D]` or None.
        distance: Length.

    Returns:
        Positions `[M, D]`, the N particles first, and the particle of each `[M]`.
    """
    particles = np.arange(len(positions))
    if box is None or not len(positions):
        return positions, particles
    inverse = np.linalg.pinv(box)
    margins = distance * np.linalg.norm(inverse, axis=0)
    shifts = _shifts(np.ceil(margins).astype(int).tolist())
    fractions = (positions @ inverse)[None] + shifts[:, None] * box.any(axis=1)
    shift, particle = np.nonzero(((fractions >= -margins) & (fractions <= 1 + margins)).all(axis=-1))
    # Open axes have no shift but 0: their margins are 0.
    kept = shift > 0
    shift, particle = shift[kept], particle[kept]
    images = positions[particle] + shifts[shift] @ box
    return np.concatenate([positions, images]), np.concatenate([particles, particle])


def _shifts(reach: list[int]) -> Array:
    """All combinations of whole numbers from -reach to reach per axis; no shift comes first, and wins ties."""
    axes = [[0.0, *(sign * step for step in range(1, most + 1) for sign in (-1.0, 1.0))] for most in reach]
    return np.array(list(itertools.product(*axes)))
