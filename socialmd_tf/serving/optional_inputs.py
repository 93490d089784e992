"""Boxes, bonds and observed velocities of a request: what only some models take."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from socialmd_tf.serving import inputs
from socialmd_tf.serving.errors import InvalidRequest
from socialmd_tf.serving.transport import Array, Floats

NAMES = ("box", "edges", "velocities")
_SAME_DIRECTION = 0.9


def check(given: Mapping[str, Any], taken: Mapping[str, Any], positions: Floats) -> dict[str, Array]:
    """Optional inputs as the signatures take them.

    Args:
        given: Values of all `NAMES`, None for those that are left out; forms as for `Client.rollout`.
        taken: The inputs of the model's signature, by name.
        positions: `[B, T, N, D]`.

    Returns:
        Those of `box` `[B, D, D]`, `edges` `[B, N, N]` and `velocities` `[B, T, N, D]` that the model takes.

    Raises:
        InvalidRequest: A value does not fit, is missing, or the model takes none; or velocities have another unit than
            the moves of the positions.
    """
    for name in NAMES:
        if name in taken and given[name] is None:
            raise InvalidRequest(f"`{name}` must be given: the model takes it")
        if name not in taken and given[name] is not None:
            raise InvalidRequest(f"`{name}` must be left out: this model takes none")
    batch_size, _, num_particles, size = positions.shape
    known: dict[str, Array] = {}
    if "box" in taken:
        known["box"] = _vectors(given["box"], batch_size, size)
    if "edges" in taken:
        known["edges"] = _matrix(given["edges"], batch_size, num_particles)
    if "velocities" in taken:
        known["velocities"] = inputs.numbers("velocities", given["velocities"], positions.shape)
        _check_unit(known["velocities"], positions, known.get("box"))
    return known


def _check_unit(velocities: Floats, positions: Floats, box: Array | None) -> None:
    """Refuse velocities along the moves between frames that are less than half, or more than twice, as long."""
    moves = np.diff(positions if box is None else unwrap(positions, box), axis=1).astype(float)
    expected = (velocities[:, 1:] + velocities[:, :-1]) / 2.0
    product, squares, lengths = np.sum(moves * expected), np.sum(moves**2), np.sum(expected**2)
    if product**2 > (_SAME_DIRECTION**2) * squares * lengths and not 0.5 <= product / lengths <= 2:
        raise InvalidRequest(
            "`velocities` must be in length units per frame interval of the model. Received: positions move "
            f"{product / lengths:.3g} times as far between frames as they say"
        )


def follow(frame: Floats, last: Floats, box: Array | None) -> Floats:
    """A frame `[B, N, D]` as the nearest images, in boxes `[B, D, D]`, of the positions one frame before."""
    if box is None:
        return frame
    moves, vectors = frame.astype(float) - last, box.astype(float)
    # The columns of the pseudo-inverse are zero for open axes, along which nothing moves.
    images = np.round(moves @ np.linalg.pinv(vectors)) @ vectors
    return (frame - images).astype(np.float32)


def unwrap(positions: Floats, box: Array | None) -> Floats:
    """Positions `[B, T, N, D]` that continue across the faces of boxes `[B, D, D]`."""
    frames = [positions[:, 0]]
    for frame in np.moveaxis(positions, 1, 0)[1:]:
        frames.append(follow(frame, frames[-1], box))
    return np.stack(frames, axis=1)


def _vectors(box: npt.ArrayLike, batch_size: int, size: int) -> Floats:
    """Lattice vectors `[B, D, D]` of a box in any of the allowed forms."""
    num_axes = inputs.as_array("box", box).ndim
    shape = {1: (size,), 2: (size, size)}.get(num_axes, (batch_size, size, size))
    vectors = inputs.numbers("box", box, shape)
    if num_axes == 1 and (vectors < 0).any():
        raise InvalidRequest(f"`box` must be edge lengths of at least 0 (0: open axis). Received: {vectors.min():g}")
    vectors = np.diag(vectors) if num_axes == 1 else vectors
    periodic = vectors.any(axis=-1).sum(axis=-1)
    if (periodic == 0).any() or (np.linalg.matrix_rank(vectors) < periodic).any():
        raise InvalidRequest("`box` must be of linearly independent lattice vectors, at least one of them not zero")
    return np.ascontiguousarray(np.broadcast_to(vectors, (batch_size, size, size)))


def _matrix(edges: npt.ArrayLike, batch_size: int, num_particles: int) -> Array:
    """Types of bonds `[B, N, N]` of rows of i, j and type, or of such matrices."""
    array, shape = inputs.as_array("edges", edges), (batch_size, num_particles, num_particles)
    if array.dtype.kind not in "iu" or not (array.shape == shape or (array.ndim == 2 and array.shape[1] == 3)):
        rule = f"rows of i, j and type [E, 3], or types {list(shape)}"
        raise InvalidRequest(f"`edges` must be integers, {rule}. Received: {array.dtype} {list(array.shape)}")
    if array.ndim == 2:
        return np.broadcast_to(_matrix_of_rows(array, num_particles), shape).copy()
    if (array < 0).any() or (array > inputs.LARGEST).any():
        raise InvalidRequest("`edges` must be types of bonds of at least 0 (0: no bond)")
    if (array != np.swapaxes(array, 1, 2)).any() or array.diagonal(axis1=1, axis2=2).any():
        raise InvalidRequest("`edges` must be symmetric, with 0 between a particle and itself")
    return array.astype(np.int32)


def _matrix_of_rows(rows: Array, num_particles: int) -> Array:
    """Types of bonds `[N, N]` of rows `[E, 3]`."""
    matrix = np.zeros((num_particles, num_particles), np.int32)
    for i, j, kind in rows.tolist():
        names_two = 0 <= i < num_particles and 0 <= j < num_particles and i != j
        if not (names_two and 1 <= kind <= inputs.LARGEST) or matrix[i, j]:
            rule = f"two particles from 0 to {num_particles - 1} and a type of at least 1, each pair once"
            raise InvalidRequest(f"`edges` must be rows of {rule}. Received: {[i, j, kind]}")
        matrix[i, j] = matrix[j, i] = kind
    return matrix
