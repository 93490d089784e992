"""Sums over neighbours of fixed functions of the distance, for coefficients that are learned afterwards."""

from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.full_precision import product
from socialmd_tf.layers.pairs.on_pairs import displacements, on_pairs

_FIRST, _LAST = 0.16, 0.84
_FADE = 6
_TINY = 1e-12


def radial_sums(positions, weights, mask, cutoff, num_functions, box=None):
    """Weighted neighbours, and directions to them, around each particle.

        n_ibk = sum_j g_b(d_ij) w_jk,   s_ibk = sum_j g_b(d_ij) w_jk e_ij,   e_ij = (x_j - x_i) / d_ij

    over the other real particles within the cutoff c. g_b is a Gaussian around m_b that fades at the cutoff:

        g_b(d) = exp(-(d - m_b)^2 / (2 delta^2)) (1 - (d / c)^6)

    with m_b in equal steps delta from 0.16 c to 0.84 c. With weights that are types (one-hot), each type has its own
    sums. n is invariant under translation and rotation; s turns with the system.

    Args:
        positions: `[B, N, D]`, in units of length.
        weights: w, `[B, N, K]`.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        cutoff: c, in units of length; in a periodic box at most half its smallest height.
        num_functions: Number of functions g_b, at least 2.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

    Returns:
        n `[B, N, num_functions, K]` and s `[B, N, num_functions, D, K]`.
    """
    size, num_weights = positions.shape[-1], weights.shape[-1]
    cells = [] if box is None else [of_particles(box, ops.shape(positions)[1])]
    step = (_LAST - _FIRST) / (num_functions - 1)
    centers = [_FIRST + step * number for number in range(num_functions)]

    def sums(own, other, near):
        apart = displacements(own[0], other[0], *own[2:]) / cutoff
        distance = ops.sqrt(ops.sum(ops.square(apart), axis=0) + _TINY)
        # Pairs beyond the cutoff are computed too, and a power of their distance could be infinite.
        fade = near * (1 - ops.minimum(distance, 1.0) ** _FADE)
        along, seen = ops.unstack(apart / distance, size), ops.moveaxis(other[1], 0, -1)  # [R, n, m], [R, m, K]
        # One function after the other: what all of them make of the pairs would fit into no cache.
        found = []
        for center in centers:
            values = ops.exp(-0.5 * ops.square((distance - center) / step)) * fade
            found += [product(each, seen) for each in (values, *(values * component for component in along))]
        found = ops.stack(found, axis=2)  # [R, n, functions * (1 + D), K]
        return ops.reshape(found, (*ops.shape(found)[:2], num_functions * (1 + size) * num_weights))

    found = on_pairs(lambda pairs: pairs.sum(sums, positions, weights, *cells), positions, mask, cutoff, box)
    found = ops.reshape(found, (*ops.shape(weights)[:2], num_functions, 1 + size, num_weights))
    return found[..., 0, :], found[..., 1:, :]
