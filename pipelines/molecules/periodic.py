"""Geometry in a periodic box, given by its vectors `[3, 3]`, one per row.

A row of zeros is an open axis: the pseudo-inverse gives it the fractional coordinate 0, so that it has no images.
None is open space.
"""

import itertools

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_NEIGHBORS = np.array(list(itertools.product((0.0, -1.0, 1.0), repeat=3)))  # no shift comes first, and wins ties


def minimum_image(displacement: Array, box: Array | None) -> Array:
    """The shortest periodic image of every displacement.

    Args:
        displacement: `[n, 3]`.
        box: Box vectors `[3, 3]` or None. In a triclinic box, the 27 images around the nearest one in fractional
            coordinates are compared, which is exact for the reduced boxes that simulation programs write.

    Returns:
        `[n, 3]`.
    """
    if box is None:
        return displacement
    nearest = displacement - np.round(displacement @ np.linalg.pinv(box)) @ box
    if np.count_nonzero(box - np.diag(np.diag(box))) == 0:
        return nearest
    best, best_square = nearest, (nearest**2).sum(axis=-1)
    for shift in _NEIGHBORS[1:] @ box:
        image = nearest + shift
        square = (image**2).sum(axis=-1)
        closer = square < best_square
        best = np.where(closer[:, None], image, best)
        best_square = np.where(closer, square, best_square)
    return best


def half_width(box: Array) -> float:
    """Half the smallest distance between opposite faces: longer moves cannot be told from their images."""
    return float(0.5 / np.linalg.norm(np.linalg.pinv(box), axis=0).max())


def make_whole(positions: Array, starts: npt.NDArray[np.intp], box: Array | None) -> Array:
    """Make molecules whole that the box cuts: each atom is the image nearest to the atom before it.

    Args:
        positions: `[num_atoms, 3]`, molecule by molecule.
        starts: First atom of each molecule `[num_molecules]`.
        box: Box vectors `[3, 3]` or None.

    Returns:
        `[num_atoms, 3]`; the first atom of each molecule stays where it is.
    """
    if box is None:
        return positions
    moves = np.zeros_like(positions)
    moves[1:] = minimum_image(np.diff(positions, axis=0), box)
    moves[starts] = 0.0
    path = np.cumsum(moves, axis=0)
    lengths = np.diff(np.append(starts, len(positions)))
    return np.repeat(positions[starts] - path[starts], lengths, axis=0) + path


def gather_around_mean(positions: Array, box: Array | None) -> Array:
    """The images of the atoms of a cluster that lie around the centre of the cluster.

    The centre of a cluster that the box cuts follows from the mean of the angles 2 pi s of the fractional coordinates
    s (Bai and Breen, Journal of Graphics Tools 13(4), 2008).

    Args:
        positions: `[n, 3]`, a cluster smaller than the box.
        box: Box vectors `[3, 3]` or None.

    Returns:
        `[n, 3]`.
    """
    if box is None:
        return positions
    phases = np.exp(2j * np.pi * (positions @ np.linalg.pinv(box))).mean(axis=0)
    middle = (np.angle(phases) / (2 * np.pi)) @ box
    return middle + minimum_image(positions - middle, box)
