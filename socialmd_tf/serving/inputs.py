"""Checks of a request before it is sent."""

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.jumps import frames_fault
from socialmd_tf.serving.errors import InvalidRequest
from socialmd_tf.serving.transport import Array, Floats

LARGEST = 2**31 - 1
"""Largest int32."""


def numbers(name: str, value: npt.ArrayLike, shape: tuple[str | int, ...]) -> Floats:
    """A value as float32.

    Args:
        name: Name of the input.
        value: Its value.
        shape: Sizes; a letter stands for any size of at least 1.

    Raises:
        InvalidRequest: The shape is another one, or an entry is not a number, NaN, or infinite as float32.
    """
    array = as_array(name, value)
    text = f"[{', '.join(map(str, shape))}]"
    if array.dtype.kind not in "fiu":
        raise InvalidRequest(f"`{name}` must be numbers {text}. Received type: {array.dtype}")
    fits = array.ndim == len(shape) and all(
        found >= 1 if isinstance(size, str) else found == size for found, size in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise InvalidRequest(f"`{name}` must be of shape {text}. Received: {list(array.shape)}")
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(converted).all():
        where = np.argwhere(~np.isfinite(converted))[0].tolist()
        raise InvalidRequest(f"`{name}` must be finite in float32. Received: {array[tuple(where)]} at {where}")
    return converted


def check_jumps(positions: Floats) -> None:
    """Refuse positions `[B, T, N, D]` that jump as in a periodic box, for a model that takes no box.

    Raises:
        InvalidRequest: They jump: `pipelines.jumps`.
    """
    fault = frames_fault(positions)
    if fault:
        raise InvalidRequest(f"`positions`: {fault}")


def as_array(name: str, value: npt.ArrayLike) -> Array:
    """A value as an array of whatever type.

    Raises:
        InvalidRequest: It is of lists of different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError:
        raise InvalidRequest(f"`{name}` must be one array. Received lists of different lengths") from None


def integers(name: str, value: Any, shape: tuple[int, ...] = (), least: int = -LARGEST - 1) -> Array:
    """A value as int32.

    Raises:
        InvalidRequest: The shape is another one, or an entry is not an integer, below `least` or beyond int32.
    """
    rule = f"{'an integer' if shape == () else f'integers of shape {list(shape)}'} from {least} to {LARGEST}"
    try:
        array = np.array([operator.index(item) for item in (np.ravel(value).tolist() if shape else [value])])
        array = array.reshape(shape)
    except (TypeError, ValueError):
        raise InvalidRequest(f"`{name}` must be {rule}. Received: {value!r}") from None
    if isinstance(value, bool) or ((array < least) | (array > LARGEST)).any():
        raise InvalidRequest(f"`{name}` must be {rule}. Received: {value!r}")
    return array.astype(np.int32)
