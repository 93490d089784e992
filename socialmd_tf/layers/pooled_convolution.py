"""Stacked state pooling, a convolution and max pooling in one, without the pooled tensor."""

import functools

import keras
from keras import ops

from socialmd_tf.layers.pooling import bin_indices, pair_displacements, pair_mask
from socialmd_tf.layers.sparse import sparse_matmul


@keras.saving.register_keras_serializable(package="socialmd_tf")
class PooledConvolution(keras.layers.Layer):
    """max_pool(convolution(stacked state pooling(states))), zero padding, with a bias.

    Pooling and convolution are both linear, so a state reaches the convolution's output without a pooled tensor
    between them: it is multiplied by the kernel once, `[C] -> [kernel_size^D, filters]` (its taps, shared by every
    particle that sees it), and the taps are added to the outputs around its bin. Only pairs in range cost anything.
    Equal to `StackedStatePooling`, `Conv` with padding "same" and `MaxPooling`, in values and gradients.

    Args:
        bins: Bins along one axis of every pooling grid.
        side_lengths: Physical side of each grid, in units of length.
        filters: Filters of the convolution.
        kernel_size: Side of its kernel, in bins.
        strides: Strides of the convolution, in bins.
        pool_size: Side of the max pooling's windows; 1 for none.
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

    def call(self, positions, states, mask=None):
        """Pool, convolve, and pool the maxima.

        Args:
            positions: `[B, N, D]`, D = 2 or 3, in units of length.
            states: `[B, N, C]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.

        Returns:
            `[B, N, output_bins, (output_bins,)... filters]`.
        """
        num_dimensions = positions.shape[-1]
        batch_size, num_particles = ops.shape(positions)[:2]
        num_rows = batch_size * num_particles
        seen_by, seen, bins = _entries(positions, mask, self.side_lengths, self.bins)
        offsets, weights = self._tap_offsets(bins, num_rows)
        num_taps = self.kernel_size**num_dimensions
        num_members = self.pool_size**num_dimensions
        num_cells = self.output_bins**num_dimensions
        rows = ops.reshape((seen_by * num_cells)[:, None] + offsets, (-1,))
        columns = ops.reshape((seen * num_taps)[:, None] + ops.arange(num_taps, dtype="int32"), (-1,))
        taps = ops.matmul(ops.reshape(states, (-1, states.shape[-1])), self._kernel_matrix(num_dimensions))
        pooled = _sum_and_max(
            ops.reshape(taps, (-1, self.filters)),
            rows,
            columns,
            ops.cast(ops.reshape(weights, (-1,)), taps.dtype),
            (num_members, num_rows, num_cells),
        )
        grid = (self.output_bins,) * num_dimensions
        pooled = ops.reshape(pooled, (batch_size, num_particles, *grid, self.filters))
        return pooled + ops.cast(self.bias, pooled.dtype)

    def _kernel_matrix(self, num_dimensions):
        """The kernel as `[C, kernel_size^D * filters]`."""
        kernel = ops.moveaxis(ops.cast(self.kernel, self.compute_dtype), num_dimensions, 0)
        return ops.reshape(kernel, (kernel.shape[0], -1))

    def _tap_offsets(self, bins, num_rows):
        """Where every tap of every entry lands in the convolution's output, from the first bin of its row on.

        That output is kept as `[pool_size^D, rows, output_bins^D]`, the members of a max pooling window along the
        first axis, so that a place in it is a sum of one number an axis of space.

        Args:
            bins: For every entry the bin of the particle that is seen, `[M, D]`.
            num_rows: Rows of the output, B * N.

        Returns:
            Places `[M, kernel_size^D]`, and their weights: 1, or 0 for taps that land outside.
        """
        num_dimensions = bins.shape[-1]
        covered = (self.convolved_bins - 1) * self.strides + self.kernel_size
        padding = max(covered - self.bins, 0) // 2
        limit = self.output_bins * self.pool_size  # max pooling drops an incomplete last window
        num_cells = self.output_bins**num_dimensions
        kernel = ops.arange(self.kernel_size, dtype="int32")
        places, weights = 0, 1
        for axis in range(num_dimensions):
            scaled = bins[:, axis, None] - kernel + padding
            target = scaled // self.strides
            inside = ops.logical_and(ops.logical_and(scaled >= 0, target < limit), scaled % self.strides == 0)
            target = ops.where(inside, target, 0)
            later = num_dimensions - 1 - axis
            place = (target % self.pool_size) * (self.pool_size**later * num_cells * num_rows)
            place = place + (target // self.pool_size) * self.output_bins**later
            shape = (-1, *(1,) * axis, self.kernel_size, *(1,) * later)
            places = places + ops.reshape(place, shape)
            weights = weights * ops.reshape(ops.cast(inside, "int32"), shape)
        flat = (-1, self.kernel_size**num_dimensions)
        return ops.reshape(places, flat), ops.reshape(weights, flat)

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


def _entries(positions, mask, side_lengths, bins):
    """The pairs in range of each grid, grid after grid: M entries.

    Returns:
        seen_by: The particle whose grid it is, an index into the flattened `[B * N]`, `[M]`.
        seen: The particle seen there, `[M]`.
        bins: Its bin, `[M, D]`.
    """
    displacements = pair_displacements(positions)
    pairs = pair_mask(positions, mask)
    num_particles = ops.shape(positions)[1]
    parts = []
    for side_length in side_lengths:
        indices, inside = bin_indices(displacements, side_length, bins)
        flat = ops.reshape(indices, (-1, indices.shape[-1]))
        entry = ops.nonzero(ops.reshape(ops.logical_and(inside, pairs), (-1,)))[0]
        seen_by = entry // num_particles
        seen = seen_by // num_particles * num_particles + entry % num_particles
        parts.append((seen_by, seen, ops.take(flat, entry, axis=0)))
    return tuple(ops.concatenate(part, axis=0) for part in zip(*parts, strict=True))


def _sum_and_max(taps, rows, columns, weights, shape):
    """Add taps to the convolution's output, and take the maximum of every pooling window.

    The backward pass needs which member was the (first) largest, and not the convolution's output.

    Args:
        taps: `[num_taps, filters]`.
        rows: For every addition its place in the output, `[A]`.
        columns: For every addition its tap, `[A]`.
        weights: 1, or 0 to leave the addition out, `[A]`.
        shape: (members, rows, cells) of the output.

    Returns:
        `[rows, cells, filters]`.
    """
    num_members, num_rows, num_cells = shape
    num_taps, filters = ops.shape(taps)

    @ops.custom_gradient
    def apply(taps):
        convolved = sparse_matmul(rows, columns, weights, taps, num_members * num_rows * num_cells)
        members = ops.unstack(ops.reshape(convolved, (num_members, num_rows, num_cells, filters)), num_members)
        pooled = functools.reduce(ops.maximum, members)
        largest, found = [], ops.zeros_like(pooled, dtype="bool")
        for member in members:
            equal = member == pooled
            largest.append(ops.logical_and(equal, ops.logical_not(found)))
            found = ops.logical_or(found, equal)

        def gradient(upstream):
            zero = ops.zeros_like(upstream)
            upstream = ops.stack([ops.where(here, upstream, zero) for here in largest])
            return sparse_matmul(columns, rows, weights, ops.reshape(upstream, (-1, filters)), num_taps)

        return pooled, gradient

    return apply(taps)
