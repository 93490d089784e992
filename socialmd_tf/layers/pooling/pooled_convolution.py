"""Stacked state pooling, a convolution and max pooling in one, without the pooled tensor."""

import itertools

import keras
import numpy as np
from keras import ops

from socialmd_tf.layers.pairs.neighbor_list import listed_displacements, neighbor_list
from socialmd_tf.layers.pooling.all_pairs import bins_of_all, sum_and_max_of_all
from socialmd_tf.layers.pooling.sparse import sparse_matmul
from socialmd_tf.layers.pooling.stacked_state_pooling import bin_indices, flat_bin_indices
from socialmd_tf.layers.static_shapes import has_static_shapes


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PooledConvolution(keras.layers.Layer):
    """max_pool(convolution(stacked state pooling(states))), with zero padding and a bias.

    State pooling and convolution are linear, so no pooled tensor is needed between them: each state is multiplied by
    the kernel once, `[C] -> [kernel_size^D, filters]` (its taps, the same for all particles that see it), and the taps
    are added to the outputs around its bin. The cost is that of the pairs within range. Values and gradients equal
    those of `StackedStatePooling`, `Conv` with padding "same" and `MaxPooling`.

    Args:
        bins: Number of bins along each axis of every pooling grid.
        side_lengths: Side length of each grid, in units of length.
        filters: Number of filters of the convolution.
        kernel_size: Side length of the kernel, in bins.
        strides: Strides of the convolution, in bins.
        pool_size: Side length of the windows of max pooling; 1 for none.
    """

    def __init__(self, bins, side_lengths, filters, kernel_size, strides=1, pool_size=1, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.bins = bins
        self.side_lengths = tuple(side_lengths)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.pool_size = pool_size

    @property
    def convolved_bins(self):
        """Bins along one axis after the convolution."""
        return -(-self.bins // self.strides)

    @property
    def output_bins(self):
        """Bins along one axis after max pooling."""
        return self.convolved_bins // self.pool_size

    def build(self, positions_shape, states_shape, mask_shape=None):
        """Create the kernel `[kernel_size, (kernel_size,)... C, filters]` and the bias."""
        kernel = (self.kernel_size,) * positions_shape[-1]
        self.kernel = self.add_weight((*kernel, states_shape[-1], self.filters), name="kernel")
        self.bias = self.add_weight((self.filters,), initializer="zeros", name="bias")

    def call(self, positions, states, mask=None, box=None):
        """Pool the states, convolve, and pool the maxima.

        Args:
            positions: `[B, N, D]`, D = 2 or 3, in units of length.
            states: `[B, N, C]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None. Particles see the nearest images.

        Returns:
            `[B, N, output_bins, (output_bins,)... filters]`.
        """
        num_dimensions = positions.shape[-1]
        batch_size, num_particles = ops.shape(positions)[:2]
        taps = ops.matmul(ops.reshape(states, (-1, states.shape[-1])), self._kernel_matrix(num_dimensions))
        pool = self._pool_all_pairs if has_static_shapes() else self._pool_listed_pairs
        pooled = pool(positions, ops.reshape(taps, (-1, self.filters)), mask, box)
        grid = (self.output_bins,) * num_dimensions
        pooled = ops.reshape(pooled, (batch_size, num_particles, *grid, self.filters))
        return pooled + ops.cast(self.bias, pooled.dtype)

    def _pool_listed_pairs(self, positions, taps, mask, box):
        """Sums of the taps `[B * N * kernel_size^D, filters]` of the pairs within range, and the maxima.

        Returns:
            `[B * N * output_bins^D, filters]`.
        """
        num_dimensions = positions.shape[-1]
        batch_size, num_particles = ops.shape(positions)[:2]
        pairs, bins = _entries(positions, mask, box, self.side_lengths, self.bins)
        num_cells = self.output_bins**num_dimensions
        num_taps = self.kernel_size**num_dimensions
        first = (pairs * ops.convert_to_tensor([num_cells, num_taps], dtype="int64"))[:, None]
        targets, weights = (ops.convert_to_tensor(table) for table in self._tables(num_dimensions))
        additions = [
            (
                ops.reshape(ops.take(targets[member], bins, axis=0) + first, (-1, 2)),
                ops.cast(ops.reshape(ops.take(weights[member], bins, axis=0), (-1,)), taps.dtype),
            )
            for member in range(self.pool_size**num_dimensions)
        ]
        return _sum_and_max(taps, additions, batch_size * num_particles * num_cells)

    def _pool_all_pairs(self, positions, taps, mask, box):
        """The same with shapes that do not depend on the positions."""
        num_dimensions = positions.shape[-1]
        bins = bins_of_all(positions, mask, box, self.side_lengths, self.bins)
        taps = ops.reshape(taps, (*ops.shape(positions)[:2], self.kernel_size**num_dimensions, self.filters))
        cells, members = self._places(num_dimensions)
        num_cells, num_members = self.output_bins**num_dimensions, self.pool_size**num_dimensions
        return sum_and_max_of_all(bins, taps, cells, members, num_cells, num_members)

    def _kernel_matrix(self, num_dimensions):
        """The kernel as `[C, kernel_size^D * filters]`."""
        kernel = ops.moveaxis(ops.cast(self.kernel, self.compute_dtype), num_dimensions, 0)
        return ops.reshape(kernel, (kernel.shape[0], -1))

    def _tables(self, num_dimensions):
        """Taps of a state in each bin that are added to each member of the max pooling windows.

        Returns:
            Window and tap, integers `[members, bins^D, t, 2]`, and the weight of the tap, `[members, bins^D, t]`: 1, or
            0 for an unused entry; t = ceil(kernel_size / pool_size)^D.
        """
        along, filled = self._tables_along_axis()
        members = itertools.product(range(self.pool_size), repeat=num_dimensions)
        targets, weights = [], []
        for member in members:
            target, weight = np.zeros((1, 1, 2), "int64"), np.ones((1, 1), "float32")
            for m in member:
                target = target[:, None, :, None] * [self.output_bins, self.kernel_size] + along[m][:, None]
                weight = weight[:, None, :, None] * filled[m][:, None]
                target = target.reshape(-1, target.shape[2] * target.shape[3], 2)
                weight = weight.reshape(target.shape[:2])
            targets.append(target)
            weights.append(weight)
        return np.stack(targets), np.stack(weights)

    def _tables_along_axis(self):
        """The same along one axis: `[pool_size, bins, ceil(kernel_size / pool_size), 2]`, and the weights."""
        covered = (self.convolved_bins - 1) * self.strides + self.kernel_size
        padding = max(covered - self.bins, 0) // 2
        targets = np.zeros((self.pool_size, self.bins, -(-self.kernel_size // self.pool_size), 2), "int64")
        weights = np.zeros(targets.shape[:-1], "float32")
        for bin_, tap in itertools.product(range(self.bins), range(self.kernel_size)):
            target, rest = divmod(bin_ - tap + padding, self.strides)
            cell, member = divmod(target, self.pool_size)
            if rest == 0 and 0 <= cell < self.output_bins:  # max pooling drops an incomplete last window
                slot = int(weights[member, bin_].sum())
                targets[member, bin_, slot] = cell, tap
                weights[member, bin_, slot] = 1
        return targets, weights

    def _places(self, num_dimensions):
        """Max pooling window to which each tap of a state in each bin is added, and the member of the window.

        Returns:
            Two arrays of integers `[bins^D, kernel_size^D]`; the member is -1 where a tap is added to nothing.
        """
        num_bins, num_taps = self.bins**num_dimensions, self.kernel_size**num_dimensions
        cells, members = np.zeros((num_bins, num_taps), "int32"), np.full((num_bins, num_taps), -1, "int32")
        for member, (targets, weights) in enumerate(zip(*self._tables(num_dimensions), strict=True)):
            bins, slots = np.nonzero(weights)
            cell, tap = targets[bins, slots].T
            cells[bins, tap], members[bins, tap] = cell, member
        return cells, members

    def compute_output_shape(self, positions_shape, states_shape, mask_shape=None):
        """Shape of the output."""
        return (*positions_shape[:2], *(self.output_bins,) * positions_shape[-1], self.filters)

    def get_config(self):
        """Arguments of the layer."""
        return {
            **super().get_config(),
            "bins": self.bins,
            "side_lengths": self.side_lengths,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pool_size": self.pool_size,
        }


def _entries(positions, mask, box, side_lengths, bins):
    """The pairs within range of each grid, grid after grid: M entries.

    Returns:
        pairs: The particle at the centre of the grid and its neighbour, indices into the flattened `[B * N]`,
            `[M, 2]`.
        bins: The bin of the neighbour, an index into the flattened grid, `[M]`.
    """
    neighbors = neighbor_list(positions, mask, max(side_lengths) / 2, box)
    displacements = listed_displacements(positions, neighbors, box)
    pairs, pair_bins = [], []
    for side_length in side_lengths:
        indices, inside = bin_indices(displacements, side_length, bins)
        entry = ops.nonzero(inside)[0]
        pairs.append(ops.take(neighbors, entry, axis=0))
        pair_bins.append(ops.take(flat_bin_indices(indices, bins), entry))
    return ops.cast(ops.concatenate(pairs), "int64"), ops.concatenate(pair_bins)


def _sum_and_max(taps, additions, num_cells):
    """Sum the taps of every member of the max pooling windows, and take the maximum over the members.

    The backward pass needs to know the (first) largest member, but not the sums.

    Args:
        taps: `[num_taps, filters]`.
        additions: For every member: window and tap of each addition `[A, 2]`, and its weight `[A]`.
        num_cells: Number of windows.

    Returns:
        `[num_cells, filters]`.
    """
    num_taps = ops.shape(taps)[0]

    @ops.custom_gradient
    def apply(taps):
        members = [sparse_matmul(indices, weights, num_cells, taps) for indices, weights in additions]
        pooled, share_out = _maximum(members)

        def gradient(upstream):
            shares = zip(additions, share_out(upstream), strict=True)
            return sum(
                sparse_matmul(indices, weights, num_taps, share, transpose=True) for (indices, weights), share in shares
            )

        return pooled, gradient

    return apply(taps)


def _maximum(members):
    """Maximum of tensors, and a function that passes its gradient on to the first largest of them."""
    if len(members) == 1:
        return members[0], lambda upstream: [upstream]
    half = len(members) // 2
    first, share_first = _maximum(members[:half])
    second, share_second = _maximum(members[half:])
    first_wins = first >= second

    def share_out(upstream):
        to_first = upstream * ops.cast(first_wins, upstream.dtype)  # faster than `where`
        return [*share_first(to_first), *share_second(upstream - to_first)]

    return ops.maximum(first, second), share_out
