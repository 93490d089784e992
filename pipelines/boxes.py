"""Periodic boxes: lattice vectors, nearest images, unwrapped positions.

A box is a matrix of lattice vectors in rows, `[..., D, D]`, in units of length. A row of zeros is an open axis.
"""

import functools
import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UserError

Array = npt.NDArray[np.float64]


def lattice_vectors(box: Any, num_dimensions: int, leading: int = 0) -> Array:
    """Lattice vectors in rows of a box that is given in any of the allowed forms.

    Args:
        box: Edge lengths `[..., D]` of boxes at right angles, or lattice vectors `[..., D, D]`.
        num_dimensions: D.
        leading: Number of axes before these, such as 1 for one box per frame.

    Returns:
        `[..., D, D]`, float64.

    Raises:
        UserError: The shape is another one, a number is not finite or an edge length negative, all axes are open, or
            lattice vectors are linearly dependent.
    """
    box, size = _numbers(box), num_dimensions
    if box.ndim >= leading and box.shape[leading:] == (size,):
        if (box < 0).any():
            raise UserError(f"`box` must be edge lengths of at least 0 (0: open axis). Found {box.min():g}")
        box = box[..., None] * np.eye(size)
    elif box.ndim < leading or box.shape[leading:] != (size, size):
        before = "num_frames, " * leading
        shapes = f"edge lengths [{before}{size}] or lattice vectors [{before}{size}, {size}]"
        raise UserError(f"`box` must be {shapes}. Found an array of shape {list(box.shape)}")
    return _checked(box)


def _numbers(box: Any) -> Array:
    try:
        box = np.asarray(box, np.float64)
    except (TypeError, ValueError):
        raise UserError("`box` must be an array of numbers") from None
    if not np.isfinite(box).all():
        raise UserError("`box` must be of finite numbers")
    return box


def _checked(vectors: Array) -> Array:
    lengths: Array = np.asarray(np.linalg.norm(vectors, axis=-1))
    if not lengths.any(axis=-1).all():
        raise UserError("`box` must be periodic along at least one axis. Found only zeros")
    # Of unit vectors, so that a small determinant means dependent ones whatever the unit; open axes are completed.
    units = vectors / np.where(lengths > 0, lengths, 1.0)[..., None]
    gram = units @ np.swapaxes(units, -1, -2) + np.where(lengths > 0, 0.0, 1.0)[..., None] * np.eye(vectors.shape[-1])
    if np.any(np.linalg.det(gram) < 1e-6):
        raise UserError("`box` must be of linearly independent lattice vectors")
    return vectors


def inverse(box: Array) -> Array:
    """Matrices `[..., D, D]` that turn displacements (from the left) into multiples of the lattice vectors.

    Columns of open axes are zero: the pseudo-inverse L^T (L L^T + P)^-1, with P = 1 on open axes.
    """
    if box.ndim == 2:  # the box of many frames, often the same one
        return _inverse_of(box.tobytes(), len(box), str(box.dtype)).copy()
    return _inverse(box)


@functools.lru_cache(maxsize=64)
def _inverse_of(content: bytes, size: int, dtype: str) -> Array:
    return _inverse(np.frombuffer(content, dtype).reshape(size, size))


def _inverse(box: Array) -> Array:
    transposed = np.swapaxes(box, -1, -2)
    is_open = np.asarray(~box.any(axis=-1))
    return np.asarray(transposed @ np.linalg.inv(box @ transposed + is_open[..., None] * np.eye(box.shape[-1])))


def images(displacements: npt.NDArray[Any], box: Array) -> Array:
    """The lattice vectors nearest to displacements, in units of length.

    Args:
        displacements: `[..., N, D]`.
        box: `[D, D]`, or with the leading axes of `displacements`.

    Returns:
        `[..., N, D]`; the nearest image of a displacement is its difference to this. It is the shortest of all images
        if it is shorter than `half_height`, whatever the shape of the box.
    """
    displacements = np.asarray(displacements, np.float64)
    if box.ndim == 2 and is_orthogonal(box):  # many times faster than a product of matrices
        return np.asarray(np.round(displacements * np.diag(inverse(box))) * np.diag(box))
    return np.asarray(np.round(displacements @ inverse(box)) @ box)


def is_orthogonal(box: Array) -> bool:
    """Whether the lattice vectors `[D, D]` are along the axes."""
    return np.count_nonzero(box - np.diag(np.diag(box))) == 0


def nearest_image(displacements: npt.NDArray[Any], box: Array) -> Array:
    """Displacements `[..., N, D]` between nearest images; arguments as for `images`."""
    return np.asarray(displacements, np.float64) - images(displacements, box)


def half_height(box: Array) -> float:
    """Half the smallest distance of opposite faces of a box, or of several: largest distance of unique images."""
    heights = np.linalg.norm(inverse(box), axis=-2)
    return float(0.5 / heights.max())


def wraps(positions: npt.NDArray[Any], boxes: Array) -> Array:
    """The displacement that wrapping has added to every position since the first frame.

    Between successive frames, particles are taken to move to the nearest image.

    Args:
        positions: `[num_frames, N, D]`, wrapped or not.
        boxes: `[D, D]` or `[num_frames, D, D]`.

    Returns:
        `[num_frames, N, D]`, zero in the first frame; `positions - wraps(positions, boxes)` are unwrapped.
    """
    moves = np.diff(np.asarray(positions, np.float64), axis=0)
    added = images(moves, boxes if boxes.ndim == 2 else boxes[1:])
    return np.concatenate([np.zeros((1, *positions.shape[1:])), added.cumsum(axis=0)])


def unwrap(positions: npt.NDArray[Any], boxes: Array) -> Array:
    """Positions `[num_frames, N, D]` that continue across the faces of the box; see `wraps`."""
    return np.asarray(positions, np.float64) - wraps(positions, boxes)


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
    nearest = nearest_image(displacement, box)
    if is_orthogonal(box):
        return nearest
    best, best_square = nearest, (nearest**2).sum(axis=-1)
    for shift in _shifts([1] * len(box))[1:] @ box:
        image = nearest + shift
        square = (image**2).sum(axis=-1)
        closer = square < best_square
        best = np.where(closer[..., None], image, best)
        best_square = np.where(closer, square, best_square)
    return best


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
    numbers: Array = np.floor(positions @ inverse(box))
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
    to_fractions = inverse(box)
    margins = distance * np.linalg.norm(to_fractions, axis=0)
    shifts = _shifts(np.ceil(margins).astype(int).tolist())
    fractions = (positions @ to_fractions)[None] + shifts[:, None] * box.any(axis=1)
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
