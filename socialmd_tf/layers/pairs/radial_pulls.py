"""Pulls towards neighbours, and other sums over them: learned coefficients of fixed functions of the distance."""

import math

from keras import ops

from socialmd_tf.layers.boxes import of_particles
from socialmd_tf.layers.full_precision import product
from socialmd_tf.layers.pairs.on_pairs import displacements, on_pairs

_FIRST, _LAST = 0.16, 0.84
_GROUP = 8
_MOST_IN_GROUPS = 16  # the ratios of narrower functions are too large for float32
_TINY = 1e-12


def radial_sums(positions, weights, mask, cutoff, num_functions, box=None):
    """Weighted directions to neighbours.

        s_ibk = sum_j g_b(d_ij) w_jk e_ij,   e_ij = (x_j - x_i) / d_ij

    over the other real particles within the cutoff c. g_b is a Gaussian around m_b that fades at the cutoff:

        g_b(d) = exp(-(d - m_b)^2 / (2 delta^2)) (1 - (d / c)^6)

    with m_b in equal steps delta from 0.16 c to 0.84 c. With weights that are types (one-hot), each type has its own
    sums, which turn with the system.

    Args:
        positions: `[B, N, D]`, in units of length.
        weights: w, `[B, N, K]`.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        cutoff: c, in units of length; in a periodic box at most half its smallest height.
        num_functions: Number of functions g_b, at least 2.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

    Returns:
        s `[B, N, D, num_functions, K]`.
    """

    def sums(own, other, near):
        functions, directions = functions_and_directions(own, other, near, cutoff, num_functions)
        seen = ops.moveaxis(other[-1], 0, -1)  # [R, m, K]
        found = [product(values * direction, seen) for direction in directions for values in functions]
        return ops.concatenate(found, axis=-1)

    cells = cells_of(positions, box)
    found = on_pairs(lambda pairs: pairs.sum(sums, positions, *cells, weights), positions, mask, cutoff, box)
    return ops.reshape(found, (*ops.shape(positions), num_functions, weights.shape[-1]))


def radial_pulls(positions, weights, mask, cutoff, coefficients, box=None):
    """Learned pulls of each particle towards its neighbours, p_i = sum_bk c_ibk s_ibk, with the sums of `radial_sums`.

    The sums are not made one by one, which is several times faster.

    Args:
        positions: `[B, N, D]`, in units of length.
        weights: w, `[B, N, K]`.
        mask: `[B, N]`, or None.
        cutoff: As for `radial_sums`.
        coefficients: c, `[B, N, num_functions, K]`.
        box: As for `radial_sums`.

    Returns:
        p `[B, N, D]`.
    """
    num_functions = coefficients.shape[-2]
    flat = ops.reshape(coefficients, (*ops.shape(weights)[:2], num_functions * weights.shape[-1]))

    def pulls(own, other, near):
        functions, directions = functions_and_directions(own[:-1], other[:-1], near, cutoff, num_functions)
        chosen, seen = ops.moveaxis(own[-1], 0, -1), ops.moveaxis(other[-2], 0, 1)  # [R, n, F K], [R, K, m]
        parts = ops.split(chosen, num_functions, axis=-1)
        total = sum(values * product(part, seen) for values, part in zip(functions, parts, strict=True))
        return ops.stack([ops.sum(total * direction, axis=-1) for direction in directions], axis=-1)

    cells = cells_of(positions, box)
    return on_pairs(lambda pairs: pairs.sum(pulls, positions, *cells, weights, flat), positions, mask, cutoff, box)


def radial_functions(distance, num_functions):
    """The functions g_b of `radial_sums` for distances in units of the cutoff, `[...]` -> `[..., num_functions]`."""
    near = ops.minimum(ops.cast(distance, "float32"), 1.0)
    return ops.stack(_gaussians(near, 1 - near**6, num_functions), axis=-1)


def cells_of(positions, box):
    """What `displacements` needs of a periodic box, in a list."""
    return [] if box is None else [of_particles(box, ops.shape(positions)[1])]


def functions_and_directions(own, other, near, cutoff, num_functions):
    """Lists of g_b(d_ij) and of the components of e_ij, `[R, n, m]` each.

    Args:
        own: List of positions `[D, R, n]` and, in a periodic box, cells; weights after them are not read.
        other: The same of the others, `[D, R, m]`.
        near: 1 for neighbours, else 0, `[R, n, m]`.
        cutoff: c, in units of length.
        num_functions: Number of functions g_b.
    """
    apart = displacements(own[0], other[0], *own[1:-1]) / cutoff
    squared = ops.sum(ops.square(apart), axis=0) + _TINY
    distance = ops.sqrt(squared)
    directions = ops.unstack(apart / distance, apart.shape[0])
    # Pairs beyond the cutoff are computed too, and a power of their distance could be infinite.
    fade = near * (1 - ops.minimum(squared, 1.0) ** 3)
    return _gaussians(ops.minimum(distance, 1.0), fade, num_functions), directions


def _gaussians(distance, fade, num_functions):
    """The values fade exp(-(d - m_b)^2 / (2 delta^2)) for all b, with the distance in units of the cutoff.

    Neighbouring functions differ by a factor exp((d - m) / delta), with m midway between their centres. So one
    exponential function serves a group of them, from the middle one on, and products are cheaper.
    """
    step = (_LAST - _FIRST) / (num_functions - 1)
    centers = [_FIRST + step * number for number in range(num_functions)]
    grows, shrinks = ops.exp((distance - 0.5) / step), ops.exp((0.5 - distance) / step)
    found = []
    size = _GROUP if num_functions <= _MOST_IN_GROUPS else 1
    for start in range(0, num_functions, size):
        group = centers[start : start + size]
        middle = len(group) // 2
        values = [ops.exp(-0.5 * ops.square((distance - group[middle]) / step)) * fade]
        for left, right in zip(group[middle:], group[middle + 1 :], strict=False):
            values.append(values[-1] * grows * math.exp((0.5 - 0.5 * (left + right)) / step))
        for left, right in zip(group[middle - 1 :: -1] if middle else [], group[middle:0:-1], strict=False):
            values.insert(0, values[0] * shrinks * math.exp((0.5 * (left + right) - 0.5) / step))
        found += values
    return found
