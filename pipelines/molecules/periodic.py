"""Molecules and clusters in a periodic box, made whole; boxes are as in `pipelines.boxes`."""

import numpy as np
import numpy.typing as npt

from pipelines.boxes import Array, minimum_image


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
