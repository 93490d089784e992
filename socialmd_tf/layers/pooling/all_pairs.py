"""Sums over all pairs of particles and all grids, most of which add nothing: shapes do not depend on the positions.

A segment sum adds up the terms; it leaves out those with a negative number of a segment. XLA makes one kernel of it,
which stores the sums and not the terms. The gradient is a gather and a sum over all particles and grids.
"""

from keras import ops

from socialmd_tf.layers.pooling.stacked_state_pooling import pair_displacements, pair_mask, seen_bins


def bins_of_all(positions, mask, box, side_lengths, bins):
    """Bin of every particle j in every grid around every particle i, an index into the flattened grid.

    Returns:
        Integers `[B, N, S, N]` (axes i, grid, j), -1 where i does not see j in the grid.
    """
    displacements, pairs = pair_displacements(positions, box), pair_mask(positions, mask)
    return ops.stack([seen_bins(displacements, pairs, side, bins) for side in side_lengths], axis=2)


def sum_and_max_of_all(bins, taps, cells, members, num_cells, num_members):
    """Sum the taps of every member of the max pooling windows, and take the maximum over the members.

    The sums are in float32. The backward pass needs the (first) largest member, one byte, but not the sums.

    Args:
        bins: Bins of the particles j, `[B, N, S, N]`, see `bins_of_all`.
        taps: Taps of the particles j, `[B, N, taps, filters]`.
        cells: NumPy array of the window to which each tap is added, by bin, `[bins^D, taps]`.
        members: NumPy array of the member of the window, -1 for none, `[bins^D, taps]`.
        num_cells: Number of windows around a particle.
        num_members: Number of members of a window.

    Returns:
        `[B * N * num_cells, filters]`, of the type of the taps.
    """
    batch_size, num_particles, _, filters = ops.shape(taps)
    num_windows = batch_size * num_particles * num_cells

    def targets():
        """Windows of all particles, and their members, -1 for none; each `[B, N, S, N, taps]`."""
        seen = ops.maximum(bins, 0)
        first = ops.reshape(ops.arange(0, num_windows, num_cells, dtype="int32"), (-1, num_particles, 1, 1, 1))
        member = ops.where(bins[..., None] >= 0, ops.take(ops.convert_to_tensor(members), seen, axis=0), -1)
        return first + ops.take(ops.convert_to_tensor(cells), seen, axis=0), member

    @ops.custom_gradient
    def apply(taps):
        window, member = targets()
        segments = ops.where(member >= 0, member * num_windows + window, -1)
        terms = ops.broadcast_to(ops.cast(taps, "float32")[:, None, None], (*ops.shape(segments), filters))
        terms, segments = ops.reshape(terms, (-1, filters)), ops.reshape(segments, (-1,))
        sums = ops.segment_sum(terms, segments, num_members * num_windows)
        pooled, winner = _first_maximum(ops.reshape(sums, (num_members, -1, filters)))

        def gradient(upstream):
            window, member = targets()  # faster than keeping them
            won = ops.equal(ops.take(winner, window, axis=0), ops.cast(member, "int8")[..., None])
            share = ops.where(won, ops.cast(ops.take(upstream, window, axis=0), "float32"), 0.0)
            return ops.cast(ops.sum(share, axis=(1, 2)), taps.dtype)

        return ops.cast(pooled, taps.dtype), gradient

    return apply(taps)


def _first_maximum(members):
    """Maximum of the members `[members, ...]` of max pooling windows, and the number of the first largest, in int8."""
    largest = members[0]
    winner = ops.zeros_like(largest, dtype="int8")
    for number in range(1, members.shape[0]):
        is_larger = members[number] > largest
        winner = ops.where(is_larger, ops.cast(number, "int8"), winner)
        largest = ops.maximum(largest, members[number])
    return largest, winner
