"""Functions of pairs of particles: of all pairs if they are few or close together, else of those within the cutoff.

The functions take two groups of particles with the components of each value first, `[C, R, n]` and `[C, R, m]`, so that
each component of the pairs is one contiguous plane `[R, n, m]`, which is fast to compute.
"""

import math

from keras import ops

from socialmd_tf.layers.boxes import lattice, nearest_displacements, nearest_image, of_particles
from socialmd_tf.layers.pairs.few_or_many import few_or_many
from socialmd_tf.layers.pairs.neighbor_list import in_range, neighbor_list
from socialmd_tf.layers.static_shapes import has_static_shapes

BLOCK = 100
"""Number of particles per block; the values of its pairs, some 30 numbers each, fit into the cache of a processor."""

CROWDED = 0.15
"""Share of pairs within the cutoff above which it is faster to compute all pairs of many particles."""

FAR = 1e12
"""Largest absolute value of a component; its third power is still a float32."""

_NUM_PROBES = 64


def on_pairs(function, positions, mask, cutoff, box=None):
    """Evaluate a function of the pairs of different real particles that are at most `cutoff` apart.

    Args:
        function: Called with an `AllPairs`, a `BlockedPairs` or a `ListedPairs`, which have the same methods and give
            the same sums; within `static_shapes`, always with an `AllPairs`.
        positions: `[B, N, D]`, in units of length.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
        cutoff: Largest distance, in units of length; in a periodic box at most half its smallest height.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None. Distances are those of nearest images; the
            function finds these with `displacements`, and `of_particles(box, N)` among its values.

    Returns:
        The tensors that the function returns; they must not depend on the class of its argument.
    """
    mask = ops.ones_like(positions[..., 0]) if mask is None else ops.cast(mask, positions.dtype)
    num_particles = ops.shape(positions)[1]

    def held_by(kind):
        return lambda: function(kind(positions, mask, cutoff, box))

    def many():
        is_crowded = _share_in_range(positions, mask, cutoff, box) > CROWDED
        return ops.cond(is_crowded, held_by(BlockedPairs), held_by(ListedPairs))

    if has_static_shapes():
        return held_by(AllPairs)()
    return few_or_many(num_particles, held_by(AllPairs), many)


def difference(own, other):
    """Values of the others `[C, R, m]` minus own ones `[C, R, n]`: `[C, R, n, m]`."""
    return other[..., None, :] - own[..., None]


def displacements(own, other, cells=None):
    """Displacements `[D, R, n, m]` from own positions `[D, R, n]` to those of others `[D, R, m]`.

    Args:
        own: `[D, R, n]`.
        other: `[D, R, m]`.
        cells: `of_particles` of the own particles, `[2 D D, R, n]`, in a periodic box: the nearest images.
    """
    apart = difference(own, other)
    return apart if cells is None else nearest_image(apart, cells[..., None])


class AllPairs:
    """All pairs of particles at once."""

    def __init__(self, positions, mask, cutoff, box=None):
        num_particles = ops.shape(positions)[1]
        cells = [] if box is None else [_components(of_particles(box, num_particles))]
        place = (_components(positions), mask, ops.arange(num_particles), *cells)
        self._near = _near(place, place, cutoff)

    def sum(self, function, *values):
        """Sums over the neighbours of every particle.

        Args:
            function: Called with the list of the values of n particles, each `[C, R, n]`, the list of the values of m
                others, each `[C, R, m]`, and a matrix `[R, n, m]` of 1 for neighbours and 0 otherwise. It returns sums
                over the neighbours, `[R, n, E]`.
            values: Any number of tensors `[B, N, C]`.

        Returns:
            `[B, N, E]`.
        """
        values = [_components(value) for value in values]
        return function(values, values, self._near)

    def sum_both(self, function, *values):
        """The same for a function that returns the sums for the n particles and those for the m others."""
        return self.sum(function, *values)[0]

    def minimum(self, function, *values):
        """Smallest value of the pairs of each system, `[B]`; infinity where there is no pair.

        Args:
            function: Called with lists of values as for `sum`; returns `[R, n, m]`, symmetric in the two particles.
            values: Any number of tensors `[B, N, C]`.
        """
        values = [_components(value) for value in values]
        return _smallest(function(values, values), self._near)


class BlockedPairs:
    """All pairs of particles, one pair of blocks after the other."""

    def __init__(self, positions, mask, cutoff, box=None):
        self._shape = ops.shape(positions)[:2]
        self._num_blocks = -(-self._shape[1] // BLOCK)
        self._size = -(-self._shape[1] // self._num_blocks)
        self._cutoff = cutoff
        cells = [] if box is None else [of_particles(box, self._shape[1])]
        self._places = [self._blocks(value) for value in (positions, mask[..., None], *cells)]

    def sum(self, function, *values):
        """Sums over the neighbours of every particle, as in `AllPairs`."""
        own, other = self._block_pairs(ops.ones)
        return self._collect(self._map(function, own, other, values), own)

    def sum_both(self, function, *values):
        """The same for a function that returns both sums; each pair of blocks is computed once."""
        own, other = self._block_pairs(lambda shape: ops.triu(ops.ones(shape)))
        to_own, to_other = self._map(function, own, other, values)
        to_other = to_other * ops.cast(own != other, to_other.dtype)[:, None, None, None]
        return self._collect(to_own, own) + self._collect(to_other, other)

    def minimum(self, function, *values):
        """Smallest value of the pairs of each system, as in `AllPairs`."""
        own, other = self._block_pairs(lambda shape: ops.triu(ops.ones(shape)))
        smallest = self._map(lambda mine, others, near: _smallest(function(mine, others), near), own, other, values)
        return -ops.segment_max(-smallest[:, 0], own // self._num_blocks, self._shape[0])

    def _blocks(self, values):
        """Values `[B, N, C]` in blocks, the last one padded: `[B * num_blocks, C, size]`."""
        batch_size, num_particles = self._shape
        missing = self._num_blocks * self._size - num_particles
        padding = ops.zeros((batch_size, missing, values.shape[-1]), values.dtype)
        values = ops.reshape(ops.concatenate([values, padding], axis=1), (-1, self._size, values.shape[-1]))
        return ops.swapaxes(_cut(values), 1, 2)

    def _block_pairs(self, chosen):
        """Numbers of the first and the second block of the chosen pairs of blocks of each system."""
        first, second = ops.nonzero(chosen((self._num_blocks, self._num_blocks)))
        start = self._num_blocks * ops.arange(self._shape[0])[:, None]
        return tuple(ops.reshape(start + ops.cast(block, start.dtype), (-1,)) for block in (first, second))

    def _map(self, function, own, other, values):
        """Results of the function for pairs of blocks, stacked: `[P, 1, size, E]`."""
        values = [self._blocks(value) for value in values]

        def evaluate(numbers):
            ends = []
            for number in numbers:
                positions, mask, *cells = (ops.take(value, number, axis=0)[:, None] for value in self._places)
                place = (positions, mask[0], number * self._size + ops.arange(self._size), *cells)
                ends.append((place, [ops.take(value, number, axis=0)[:, None] for value in values]))
            (place, mine), (other_place, others) = ends
            return function(mine, others, _near(place, other_place, self._cutoff))

        return ops.map(evaluate, (own, other))

    def _collect(self, sums, blocks):
        """Add the sums `[P, 1, size, E]` of blocks `[P]`: `[B, N, E]`."""
        batch_size, num_particles = self._shape
        width = sums.shape[-1]
        sums = ops.reshape(sums, (-1, self._size * width))
        sums = ops.segment_sum(sums, blocks, batch_size * self._num_blocks)
        return ops.reshape(sums, (batch_size, -1, width))[:, :num_particles]


class ListedPairs:
    """A list of the pairs within the cutoff."""

    def __init__(self, positions, mask, cutoff, box=None):
        self._shape = ops.shape(positions)[:2]
        pairs = neighbor_list(positions, mask, cutoff, box)
        self._i, self._j = pairs[:, 0], pairs[:, 1]
        once = ops.nonzero(self._i < self._j)[0]
        self._first, self._second = (ops.take(end, once) for end in (self._i, self._j))

    def sum(self, function, *values):
        """Sums over the neighbours of every particle, as in `AllPairs`; the function is called with n = m = 1."""
        return self._collect(function(*self._ends(values, self._i, self._j)), self._i)

    def sum_both(self, function, *values):
        """The same for a function that returns both sums; each pair is computed once."""
        to_first, to_second = function(*self._ends(values, self._first, self._second))
        return self._collect(to_first, self._first) + self._collect(to_second, self._second)

    def minimum(self, function, *values):
        """Smallest value of the pairs of each system, as in `AllPairs`; the largest float where there is no pair."""
        batch_size, num_particles = self._shape
        own, other, _ = self._ends(values, self._first, self._second)
        return -ops.segment_max(-function(own, other)[:, 0, 0], self._first // num_particles, batch_size)

    def _ends(self, values, *ends):
        flat = [ops.reshape(_cut(value), (-1, value.shape[-1])) for value in values]
        own, other = ([_components(ops.take(value, end, axis=0)[:, None]) for value in flat] for end in ends)
        return own, other, ops.ones((ops.shape(ends[0])[0], 1, 1))

    def _collect(self, sums, places):
        batch_size, num_particles = self._shape
        sums = ops.segment_sum(sums[:, 0], places, batch_size * num_particles)
        return ops.reshape(sums, (batch_size, num_particles, sums.shape[-1]))


def _cut(values):
    # Pairs beyond the cutoff are computed too, and 0 times infinity would be NaN.
    return ops.clip(values, -FAR, FAR)


def _components(values):
    """Values `[R, n, C]` as `[C, R, n]`."""
    return ops.moveaxis(_cut(values), -1, 0)


def _near(own, other, cutoff):
    """1 for pairs of different real particles within the cutoff, else 0, `[R, n, m]`.

    Both ends are positions `[D, R, n]`, mask `[R, n]`, numbers `[n]` and, in a periodic box, lattices `[2 D D, R, n]`.
    """
    (positions, mask, index, *cells), (other_positions, other_mask, other_index, *_) = own, other
    near = in_range(displacements(positions, other_positions, *cells), cutoff, axis=0)
    different = index[:, None] != other_index
    return ops.cast(ops.logical_and(near, different), positions.dtype) * mask[..., None] * other_mask[:, None, :]


def _smallest(values, near):
    """Smallest value of the pairs that are near: `[R, n, m]` -> `[R]`."""
    return ops.min(ops.where(near > 0, values, math.inf), axis=(1, 2))


def _share_in_range(positions, mask, cutoff, box):
    """Estimated share of pairs within the cutoff among all pairs, those with padding included."""
    num_particles = ops.shape(positions)[1]
    probes = ops.arange(_NUM_PROBES) * num_particles // _NUM_PROBES
    apart = ops.take(positions, probes, axis=1)[:, :, None] - positions[:, None]
    if box is not None:
        apart = nearest_displacements(apart, lattice(box)[:, None, None])
    near = in_range(apart, cutoff)
    real = ops.take(mask, probes, axis=1)[:, :, None] * mask[:, None]
    return ops.mean(ops.cast(near, real.dtype) * real)
