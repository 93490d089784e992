"""Max pooling whose gradient goes to the first of equal maxima, and which keeps one byte per window for it."""

import itertools

import numpy as np
from keras import ops


def first_maximum(members):
    """Maximum of the members `[members, ...]` of max pooling windows, and the number of the first largest, in int8.

    Returns:
        Two tensors `[...]`.
    """
    largest = members[0]
    winner = ops.zeros_like(largest, dtype="int8")
    for number in range(1, members.shape[0]):
        is_larger = members[number] > largest
        winner = ops.where(is_larger, ops.cast(number, "int8"), winner)
        largest = ops.maximum(largest, members[number])
    return largest, winner


def max_pool(grids):
    """Max pooling of windows of side 2, `[rows, bins, (bins,)... C]`; an odd last bin is left out.

    These are comparisons and copies only, of which a compiler makes one pass; the gradient needs neither the input nor
    the output.
    """
    halves = [size // 2 for size in grids.shape[1:-1]]

    @ops.custom_gradient
    def apply(whole):
        windows = ops.reshape(whole, (-1, *itertools.chain(*((half, 2) for half in halves)), whole.shape[-1]))
        corners = itertools.product((0, 1), repeat=len(halves))
        members = [windows[(slice(None), *itertools.chain(*((slice(None), m) for m in corner)))] for corner in corners]
        largest, winner = first_maximum(ops.stack(members))

        def gradient(upstream):
            won = ops.equal(_to_all_members(winner), _member_of_each_bin(halves))
            share = _to_all_members(upstream)
            return ops.where(won, share, ops.zeros_like(share))

        return largest, gradient

    return apply(grids[(slice(None), *(slice(0, 2 * half) for half in halves))])


def _to_all_members(windows):
    """Values of windows `[rows, half, (half,)... C]` for each of their bins, `[rows, 2 half, (2 half,)... C]`."""
    for axis in range(1, len(windows.shape) - 1):
        windows = ops.repeat(windows, 2, axis=axis)
    return windows


def _member_of_each_bin(halves):
    """Number of each bin among those of its window, `[2 half, (2 half,)... 1]`."""
    number = np.zeros([1] * len(halves), "int8")
    for place in np.indices([2 * half for half in halves]):
        number = 2 * number + place % 2
    return ops.convert_to_tensor(number[..., None], dtype="int8")
