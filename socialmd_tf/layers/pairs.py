"""Computing on pairs of particles: all of them when there are few, those in range of each other when there are many."""

import math

from keras import ops

from socialmd_tf.layers.neighbor_list import DENSE_LIMIT, in_range, neighbor_list

_FAR = 1e12
"""Lengths are cut at this, whose third power is still a float32."""


def on_pairs(function, positions, mask, cutoff):
    """Evaluate a function of the pairs of different real particles no farther apart than `cutoff`.

    Args:
        function: Called with an `AllPairs` or, above `DENSE_LIMIT` particles, with a `ListedPairs`, which offer the
            same methods and give the same sums.
        positions: `[B, N, D]`, in units of length.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
        cutoff: Largest distance, in units of length.

    Returns:
        What the function returns, tensors that do not depend on how pairs are held.
    """
    mask = ops.ones_like(positions[..., 0]) if mask is None else mask
    num_particles = ops.shape(positions)[1]

    def all_pairs():
        return function(AllPairs(positions, mask, cutoff))

    def listed():
        return function(ListedPairs(positions, mask, cutoff))

    if isinstance(num_particles, int):
        return all_pairs() if num_particles <= DENSE_LIMIT else listed()
    return ops.cond(num_particles <= DENSE_LIMIT, all_pairs, listed)


class AllPairs:
    """All pairs of particles, [i, j], as `[B, N, N, ...]`; those out of range count for nothing."""

    def __init__(self, positions, mask, cutoff):
        near = in_range(positions[:, None] - positions[:, :, None], cutoff)
        different = ops.logical_not(ops.eye(ops.shape(positions)[1], dtype="bool"))
        real = ops.cast(mask[:, None] * mask[:, :, None], "bool")
        self._counts = ops.cast(near & different & real, positions.dtype)[..., None]

    def ends(self, values):
        """Values `[B, N, C]` of i and of j, as they broadcast against each other."""
        return values[:, :, None], values[:, None]

    def difference(self, values):
        """Values of j less those of i, `[B, N, N, C]`."""
        # Pairs that do not count are computed too, and 0 times what overflows would be no number.
        own, other = self.ends(ops.clip(values, -_FAR, _FAR))
        return other - own

    def sum(self, messages):
        """Sum over j of messages `[B, N, N, C]`, `[B, N, C]`."""
        return ops.sum(messages * self._counts, axis=2)

    def minimum(self, values):
        """Smallest of values `[B, N, N]` in every system, `[B]`; infinity where there is no pair."""
        return ops.min(ops.where(self._counts[..., 0] > 0, values, math.inf), axis=(1, 2))


class ListedPairs:
    """The pairs (i, j) in range of each other, as `[M, ...]`."""

    def __init__(self, positions, mask, cutoff):
        self._shape = ops.shape(positions)[:2]
        pairs = neighbor_list(positions, mask, cutoff)
        self._i, self._j = pairs[:, 0], pairs[:, 1]

    def ends(self, values):
        """Values `[B, N, C]` of i and of j, each `[M, C]`."""
        flat = ops.reshape(values, (-1, values.shape[-1]))
        return ops.take(flat, self._i, axis=0), ops.take(flat, self._j, axis=0)

    def difference(self, values):
        """Values of j less those of i, `[M, C]`."""
        own, other = self.ends(values)
        return other - own

    def sum(self, messages):
        """Sum over j of messages `[M, C]`, `[B, N, C]`."""
        batch_size, num_particles = self._shape
        sums = ops.segment_sum(messages, self._i, batch_size * num_particles)
        return ops.reshape(sums, (batch_size, num_particles, messages.shape[-1]))

    def minimum(self, values):
        """Smallest of values `[M]` in every system, `[B]`; the largest float where there is no pair."""
        batch_size, num_particles = self._shape
        return -ops.segment_max(-values, self._i // num_particles, batch_size)
