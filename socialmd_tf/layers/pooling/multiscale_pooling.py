"""Pooling into grids of several sizes, kept apart; each state is shared between the bins around it."""

import itertools

import keras
import numpy as np
from keras import ops

from socialmd_tf.layers.pairs.neighbor_list import listed_displacements, neighbor_list
from socialmd_tf.layers.pooling.sparse import sparse_matmul
from socialmd_tf.layers.pooling.stacked_state_pooling import pair_displacements, pair_mask
from socialmd_tf.layers.static_shapes import has_static_shapes


@keras.saving.register_keras_serializable(package="socialmd_tf")
class MultiscalePooling(keras.layers.Layer):
    r"""Sum the states of each particle's neighbours into grids of several sizes, kept apart.

    `StackedStatePooling` assigns a neighbour to one bin. Here its state is shared (multi)linearly between the centres
    of the 2^D bins around it, as in particle-in-cell codes ("cloud in cell", Hockney and Eastwood 1988, section 5-2).
    With the position of j in grid s, in bins, u_s = (x_j - x_i) bins / side_s + (bins - 1) / 2, so that the centre of
    bin m is at u = m,

        H_i[s, m] = sum over j != i of states_j prod over axes of max(0, 1 - |u_s - m|)

    Grids are square (cubic). A neighbour that leaves a grid fades out of it: H is a continuous function of the
    positions, with gradients. A linear map of H is a sum over pairs of a function of the displacement, interpolated
    (multi)linearly from a table.

    Args:
        bins: Number of bins along each axis of every grid.
        side_lengths: Side length of each grid, in units of length.
    """

    def __init__(self, bins, side_lengths, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.bins = bins
        self.side_lengths = tuple(side_lengths)

    def call(self, positions, states, mask=None, box=None):
        """Pool the states.

        Args:
            positions: `[B, N, D]`, D = 2 or 3, in units of length.
            states: `[B, N, C]`.
            mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.
            box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None. Particles see the nearest images.

        Returns:
            `[B, N, S, bins, (bins,)... C]`, S grids with D axes of bins.
        """
        pool = self._pool_all_pairs if has_static_shapes() else self._pool_listed_pairs
        pooled = pool(positions, ops.cast(states, positions.dtype), mask, box)
        return ops.reshape(pooled, self._output_shape(ops.shape(positions), states.shape))

    def _pool_listed_pairs(self, positions, states, mask, box):
        """Sums over the pairs within range, `[B * N * S * bins^D, C]`."""
        num_dimensions = positions.shape[-1]
        num_bins = self.bins**num_dimensions
        corner_of_largest = max(self.side_lengths) / 2 * (1 + 1 / self.bins) * num_dimensions**0.5
        neighbors = ops.cast(neighbor_list(positions, mask, corner_of_largest, box), "int64")
        displacements = listed_displacements(positions, neighbors, box)
        indices, weights = [], []
        for number, side_length in enumerate(self.side_lengths):
            places = self._places(displacements, side_length)
            entry = ops.nonzero(ops.all(ops.logical_and(places >= -1, places < self.bins), axis=-1))[0]
            pairs = ops.take(neighbors, entry, axis=0)
            bins, shares = self._shares(ops.take(places, entry, axis=0))
            bins = ops.cast(ops.maximum(bins, 0), "int64")  # a bin outside the grid has no share
            rows = (pairs[:, :1] * len(self.side_lengths) + number) * num_bins + bins
            columns = ops.broadcast_to(pairs[:, 1:], ops.shape(rows))
            indices.append(ops.reshape(ops.stack([rows, columns], axis=-1), (-1, 2)))
            weights.append(ops.reshape(shares, (-1,)))
        num_rows = ops.shape(positions)[0] * ops.shape(positions)[1] * len(self.side_lengths) * num_bins
        states = ops.reshape(states, (-1, states.shape[-1]))
        return sparse_matmul(ops.concatenate(indices), ops.concatenate(weights), num_rows, states)

    def _pool_all_pairs(self, positions, states, mask, box):
        """The same with shapes that do not depend on the positions."""
        batch_size, num_particles, num_dimensions = ops.shape(positions)
        displacements, pairs = pair_displacements(positions, box), pair_mask(positions, mask)
        places = ops.stack([self._places(displacements, side) for side in self.side_lengths], axis=2)
        bins, shares = self._shares(places)
        grids_before = ops.arange(batch_size * num_particles * len(self.side_lengths), dtype="int32")
        grids_before = ops.reshape(grids_before, (batch_size, num_particles, len(self.side_lengths), 1, 1))
        num_bins = self.bins**num_dimensions
        shared = ops.logical_and(pairs[:, :, None, :, None], bins >= 0)
        segments = ops.where(shared, grids_before * num_bins + bins, -1)  # a segment sum leaves -1 out
        terms = shares[..., None] * states[:, None, None, :, None]
        num_segments = batch_size * num_particles * len(self.side_lengths) * num_bins
        return ops.segment_sum(ops.reshape(terms, (-1, states.shape[-1])), ops.reshape(segments, (-1,)), num_segments)

    def _places(self, displacements, side_length):
        """Positions in a grid, in bins: at an integer, a neighbour is in the middle of a bin."""
        return displacements * (self.bins / side_length) + (self.bins - 1) / 2

    def _shares(self, places):
        """Shares of neighbours in the bins of a grid.

        Args:
            places: See `_places`, `[..., D]`.

        Returns:
            The bins around each neighbour, as indices into the flattened grid, int32, and its shares in them, each
            `[..., 2^D]`. Outside the grid the bin is -1 and the share 0.
        """
        places = places[..., None, :]
        corners = np.array(list(itertools.product((0, 1), repeat=places.shape[-1])))
        around = ops.floor(places) + ops.convert_to_tensor(corners, dtype=places.dtype)
        inside = ops.all(ops.logical_and(around >= 0, around < self.bins), axis=-1)
        shares, bins = ops.cast(inside, places.dtype), 0
        for axis in range(places.shape[-1]):
            shares = shares * (1 - ops.abs(places[..., axis] - around[..., axis]))
            bins = bins * self.bins + ops.cast(ops.clip(around[..., axis], 0, self.bins - 1), "int32")
        return ops.where(inside, bins, -1), shares

    def _output_shape(self, positions_shape, states_shape):
        grids = len(self.side_lengths), *(self.bins,) * positions_shape[-1]
        return (*positions_shape[:2], *grids, states_shape[-1])

    def compute_output_shape(self, positions_shape, states_shape, mask_shape=None):
        """Shape of the pooled states."""
        return self._output_shape(positions_shape, states_shape)

    def get_config(self):
        """Arguments of the layer."""
        return {**super().get_config(), "bins": self.bins, "side_lengths": self.side_lengths}
