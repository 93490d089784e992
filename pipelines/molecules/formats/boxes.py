"""Periodic boxes as files state them, as vectors `[3, 3]`, one per row; a row of zeros is an open axis."""

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError
from pipelines.molecules.formats.frame import Array

OPEN = np.zeros((3, 3))
"""The box of an open system."""


def cell_vectors(cell: npt.ArrayLike, where: str) -> Array:
    """Vectors of a box that is given by edge lengths a, b, c and angles alpha, beta, gamma.

    The first vector lies along x and the second in the plane of x and y. Length 0 makes an axis open.

    Args:
        cell: Three lengths and three angles in degrees `[6]`. Lengths of 1 are the placeholder of a missing box.
        where: File and frame, for the message.

    Returns:
        `[3, 3]`.

    Raises:
        UserError: A length is negative, or there is no such box.
    """
    values = np.asarray(cell, np.float64)
    lengths = values[:3]
    if not lengths.any() or (np.abs(lengths - 1.0) < 1e-5).all():
        return OPEN
    periodic = lengths > 0
    # Angles with an open axis mean nothing.
    used = [bool(periodic[first] and periodic[second]) for first, second in ((1, 2), (0, 2), (0, 1))]
    angles = np.where(used, values[3:], 90.0)
    right = np.isfinite(lengths).all() and (lengths >= 0).all() and ((angles > 0) & (angles < 180)).all()
    if right:
        # Exact zeros for right angles, so that the box counts as rectangular.
        alpha, beta, gamma = np.where(angles == 90.0, 0.0, np.cos(np.radians(angles)))
        sine = np.sqrt(1 - gamma**2)
        across = (alpha - beta * gamma) / sine
        height = 1 - beta**2 - across**2
        if height > 0:
            directions = np.array([[1.0, 0, 0], [gamma, sine, 0], [beta, across, np.sqrt(height)]])
            return directions * lengths[:, None]
    raise UserError(
        f"{where}: expected a box of three lengths, 0 or more, and angles that fit, found {values.round(4).tolist()}"
    )


def checked_vectors(vectors: npt.ArrayLike, where: str) -> Array:
    """Box vectors `[3, 3]`, refused if they are not finite or do not span a box.

    Raises:
        UserError: The vectors that are not zero lie in a plane or on a line, or a number is not finite.
    """
    box = np.asarray(vectors, np.float64).reshape(3, 3)
    edges = box[box.any(axis=1)]
    if not np.isfinite(box).all() or (len(edges) and np.linalg.matrix_rank(edges) < len(edges)):
        raise UserError(f"{where}: expected the vectors of a box, found {box.round(4).tolist()}")
    return box
