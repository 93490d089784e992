"""Max pooling whose gradient goes to the first of equal maxima."""

import math

from keras import ops


def max_pool(grids):
    """Max pooling of windows of side 2, `[rows, bins, (bins,)... C]`; an odd last bin is left out.

    Neighbouring bins are compared along one axis after the other, from the last. The backward pass needs to know which
    were larger, but neither the input nor the output. TensorFlow's own takes six times as long on a CPU; in 3D it gives
    the gradient to all equal maxima, and XLA's adds it to memory atomically.
    """
    halves = [size // 2 for size in grids.shape[1:-1]]

    @ops.custom_gradient
    def apply(whole):
        largest, first_wins = whole, []
        for axis in reversed(range(len(halves))):
            width = math.prod(halves[axis + 1 :]) * grids.shape[-1]
            first, second = ops.split(ops.reshape(largest, (-1, 2 * width)), 2, axis=1)
            first_wins.append(first >= second)
            largest = ops.maximum(first, second)

        def gradient(upstream):
            for wins in reversed(first_wins):
                upstream = ops.reshape(upstream, (-1, wins.shape[-1]))
                to_first = upstream * ops.cast(wins, upstream.dtype)
                upstream = ops.concatenate([to_first, upstream - to_first], axis=1)
            return ops.reshape(upstream, (-1, *whole.shape[1:]))

        return ops.reshape(largest, (-1, *halves, grids.shape[-1])), gradient

    if any(size % 2 for size in grids.shape[1:-1]):
        grids = grids[(slice(None), *(slice(0, 2 * half) for half in halves))]
    return apply(grids)
