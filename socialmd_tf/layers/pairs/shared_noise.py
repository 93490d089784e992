"""Random numbers that neighbours share: noise that pushes close particles the same way, or apart."""

from keras import ops

from socialmd_tf.layers.pairs.on_pairs import on_pairs
from socialmd_tf.layers.pairs.radial_pulls import cells_of, functions_and_directions


def shared_noise(normal, positions, mask, cutoff, shares, box=None):
    """Normally distributed vectors that are correlated between neighbours.

        n_i = V_i^(-1/2) (z_i + sum_j [a(d_ij) P_ij + b(d_ij) (1 - P_ij)] z_j),   P_ij = e_ij e_ij^T
        V_i = 1 + sum_j [a(d_ij)^2 P_ij + b(d_ij)^2 (1 - P_ij)]

    over the other real particles within the cutoff, with a = sum_f a_f g_f and b = sum_f b_f g_f, the functions g_f and
    directions e_ij of `radial_sums`, and symmetric roots. So each n_i alone is a standard normal vector, as z_i. Far
    from others, it is z_i. For small shares and two neighbours, the correlation along the line between them is 2 a(d),
    and across it 2 b(d). The vectors turn with the system.

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
    size, num_functions = normal.shape[-1], shares.shape[-1]

    def sums(own, other, near):
        functions, directions = functions_and_directions(own, other, near, cutoff, num_functions)
        along, across = (sum(share[f] * functions[f] for f in range(num_functions)) for share in ops.unstack(shares))
        seen = ops.unstack(other[-1][:, :, None, :])  # the components of z_j, each [R, 1, m]
        excess = (along - across) * sum(e * z for e, z in zip(directions, seen, strict=True))
        vectors = [across * z + excess * e for e, z in zip(directions, seen, strict=True)]
        squared, added = ops.square(across), ops.square(along) - ops.square(across)
        variances = [added * row * column for row in directions for column in directions]
        return ops.stack([ops.sum(pairs, axis=-1) for pairs in (*vectors, squared, *variances)], axis=-1)

    cells = cells_of(positions, box)
    found = on_pairs(lambda pairs: pairs.sum(sums, positions, *cells, normal), positions, mask, cutoff, box)
    vectors, squared, others = ops.split(found, [size, size + 1], axis=-1)
    variances = ops.reshape(others, (*ops.shape(positions), size))
    return _product_with_root(variances + (1 + squared[..., None]) * ops.eye(size), normal + vectors)


def _product_with_root(matrices, vectors):
    """V^(-1/2) v of symmetric matrices V >= 1 `[..., D, D]` and vectors v `[..., D]`."""
    values, axes = ops.eigh(matrices)
    along = ops.sum(axes * vectors[..., None], axis=-2) / ops.sqrt(values)
    return ops.sum(axes * along[..., None, :], axis=-1)
