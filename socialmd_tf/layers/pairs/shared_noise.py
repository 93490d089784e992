"""Random numbers that neighbours share: noise that pushes close particles the same way, or apart."""

from keras import ops

from socialmd_tf.layers.pairs.on_pairs import on_pairs
from socialmd_tf.layers.pairs.radial_pulls import cells_of, functions_and_directions


def shared_noise(normal, positions, mask, cutoff, shares, box=None):
    """Normally distributed vectors that are correlated between neighbours.

        n_i = (z_i + sum_j [a(d_ij) e_ij e_ij^T + b(d_ij) (1 - e_ij e_ij^T)] z_j) / s_i
        s_i^2 = 1 + sum_j (a(d_ij)^2 + (D - 1) b(d_ij)^2) / D

    over the other real particles within the cutoff, with a = sum_f a_f g_f and b = sum_f b_f g_f, and the functions g_f
    and directions e_ij of `radial_sums`. The mean variance of the components of each n_i is 1, as that of z_i. Far from
    others, n_i is z_i. For small shares and two neighbours, the correlation along the line between them is 2 a(d), and
    across it 2 b(d). The vectors turn with the system.

    Args:
        normal: z, independent standard normal vectors `[B, N, D]`.
        positions: `[B, N, D]`, in units of length.
        mask: `[B, N]`, 1 for real particles and 0 for padding, or None.
        cutoff: c of `radial_sums`, in units of length.
        shares: a_f and b_f, `[2, F]`.
        box: Lattice vectors in rows `[B, D, D]` of a periodic box, or None.

    Returns:
        n `[B, N, D]`.
    """
    num_dimensions, num_functions = normal.shape[-1], shares.shape[-1]

    def sums(own, other, near):
        functions, directions = functions_and_directions(own, other, near, cutoff, num_functions)
        along, across = (sum(share[f] * functions[f] for f in range(num_functions)) for share in ops.unstack(shares))
        seen = ops.unstack(other[-1][:, :, None, :])  # the components of z_j, each [R, 1, m]
        excess = (along - across) * sum(e * z for e, z in zip(directions, seen, strict=True))
        found = [ops.sum(across * z + excess * e, axis=-1) for e, z in zip(directions, seen, strict=True)]
        squares = (ops.square(along) + (num_dimensions - 1) * ops.square(across)) / num_dimensions
        return ops.stack([*found, ops.sum(squares, axis=-1)], axis=-1)

    cells = cells_of(positions, box)
    found = on_pairs(lambda pairs: pairs.sum(sums, positions, *cells, normal), positions, mask, cutoff, box)
    return (normal + found[..., :-1]) / ops.sqrt(1 + found[..., -1:])
