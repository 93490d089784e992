"""Stacked state pooling: the readable definition."""

import keras
from keras import ops

from socialmd_tf.layers.boxes import lattice, nearest_displacements
from socialmd_tf.layers.pairs.neighbor_list import in_range


def pair_displacements(positions, box=None):
    """Displacements r_j - r_i of all pairs, `[B, N, D]` -> `[B, N, N, D]` (axes i, j).

    With lattice vectors `box` `[B, D, D]`, those to the nearest images.
    """
    displacements = positions[:, None, :, :] - positions[:, :, None, :]
    return displacements if box is None else nearest_displacements(displacements, lattice(box)[:, None, None])


def pair_mask(positions, mask):
    """Pairs of different real particles.

    Args:
        positions: `[B, N, D]`.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None when all are real.

    Returns:
        Booleans `[B, N, N]` (axes i, j), False where i = j or either is padding.
    """
    num_particles = ops.shape(positions)[1]
    index = ops.arange(num_particles)
    different = (index[:, None] != index[None, :])[None]
    if mask is None:
        return ops.logical_and(different, ops.ones_like(positions[:, :, None, 0], dtype="bool"))
    real = ops.cast(mask, "bool")
    return ops.logical_and(different, ops.logical_and(real[:, :, None], real[:, None, :]))


def bin_indices(displacements, side_length, bins):
    """Bin of particle j in a grid centred on i: floor(displacement / side * bins + bins / 2).

    Args:
        displacements: r_j - r_i, `[..., D]`, in units of length.
        side_length: Side length of the grid, in units of length.
        bins: Number of bins along each axis.

    Returns:
        indices: Integers `[..., D]`; meaningless where `inside` is False.
        inside: Booleans `[...]`: inside the grid, and no farther from its centre than half its side length
            (thesis section 2.3.3).
    """
    scaled = ops.floor(displacements / side_length * bins + bins / 2)
    inside = ops.all(ops.logical_and(scaled >= 0, scaled < bins), axis=-1)
    indices = ops.cast(ops.clip(scaled, 0, bins - 1), "int32")
    return indices, ops.logical_and(inside, in_range(displacements, side_length / 2))


def flat_bin_indices(indices, bins):
    """Bin indices along each axis `[..., D]` -> indices into the flattened grid `[...]`, the last axis fastest."""
    flat = indices[..., 0]
    for axis in range(1, indices.shape[-1]):
        flat = flat * bins + indices[..., axis]
    return flat


def seen_bins(displacements, pairs, side_length, bins):
    """Bin of every particle j in the grid around every particle i, an index into the flattened grid.

    Args:
        displacements: r_j - r_i, `[B, N, N, D]`, in units of length.
        pairs: `pair_mask`, `[B, N, N]`.
        side_length: Side length of the grid, in units of length.
        bins: Number of bins along each axis.

    Returns:
        Integers `[B, N, N]` (axes i, j), -1 where i does not see j in this grid.
    """
    indices, inside = bin_indices(displacements, side_length, bins)
    return ops.where(ops.logical_and(inside, pairs), flat_bin_indices(indices, bins), -1)


@keras.saving.register_keras_serializable(package="socialmd_tf")
class StackedStatePooling(keras.layers.Layer):
    r"""Sum the states of each particle's neighbours into grids of several sizes, and add the grids.

    H_i[m] = sum over side lengths l, over j != i with |r_j - r_i| <= l / 2 and bin_l(r_j - r_i) = m, of states_j

    with bin_l(d) = floor(d / l * bins + bins / 2) along each axis (thesis sections 2.3.2, 2.3.3 and 2.3.5).
    This is the definition; `PooledConvolution` computes a convolution of it much faster.

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
            `[B, N, bins, (bins,)... C]`, D axes of bins.
        """
        num_dimensions = positions.shape[-1]
        displacements = pair_displacements(positions, box)
        pairs = pair_mask(positions, mask)
        pooled = 0.0
        for side_length in self.side_lengths:
            seen = seen_bins(displacements, pairs, side_length, self.bins)
            occupied = ops.one_hot(seen, self.bins**num_dimensions, dtype=states.dtype)  # one_hot(-1) is all zeros
            pooled = pooled + ops.einsum("bijm,bjc->bimc", occupied, states)
        return ops.reshape(pooled, self._output_shape(ops.shape(positions), ops.shape(states)))

    def _output_shape(self, positions_shape, states_shape):
        return (*positions_shape[:2], *(self.bins,) * positions_shape[-1], states_shape[-1])

    def compute_output_shape(self, positions_shape, states_shape, mask_shape=None):
        """Shape of the pooled states."""
        return self._output_shape(positions_shape, states_shape)

    def get_config(self):
        """Arguments of the layer."""
        return {**super().get_config(), "bins": self.bins, "side_lengths": self.side_lengths}
