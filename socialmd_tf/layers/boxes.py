"""Displacements to the nearest periodic image."""

from keras import ops


def lattice(box):
    """Lattice vectors in rows and the matrix of multiples of them, `[B, 2 D D]`, of a box.

    The matrix is the inverse; of lattice vectors L with open axes it is the pseudo-inverse L^T (L L^T + P)^-1, with
    P = 1 on open axes, so that nothing moves along them.

    Args:
        box: Edge lengths `[B, D]` of an orthorhombic box, or lattice vectors in rows `[B, D, D]`. Zeros are an open
            axis.
    """
    size = box.shape[-1]
    if len(box.shape) == 2:
        box = box[..., None] * ops.eye(size, dtype=box.dtype)
    is_open = ops.cast(ops.all(box == 0, axis=-1), box.dtype)
    # Sums instead of matrix products, which a GPU would round to TF32.
    gram = ops.sum(box[:, :, None] * box[:, None], axis=-1) + is_open[..., None] * ops.eye(size, dtype=box.dtype)
    inverse = ops.sum(ops.swapaxes(box, 1, 2)[..., None] * ops.inv(gram)[:, None], axis=2)
    return ops.reshape(ops.stack([box, inverse], axis=1), (-1, 2 * size**2))


def of_particles(box, num_particles):
    """`lattice(box)` for each of N particles, `[B, N, 2 D D]`."""
    return ops.repeat(lattice(box)[:, None], num_particles, axis=1)


def nearest_image(displacement, lattice):
    """Displacements `[D, ...]` to the nearest image, for `lattice` `[2 D D, ...]`.

    Exact up to half the smallest height of the box, whatever its shape.
    """
    size = displacement.shape[0]
    vectors, inverse = lattice[: size**2], lattice[size**2 :]
    moved = [displacement[d] for d in range(size)]
    for b in range(size):
        images = ops.round(sum(displacement[a] * inverse[a * size + b] for a in range(size)))
        moved = [moved[d] - images * vectors[b * size + d] for d in range(size)]
    return ops.stack(moved)


def nearest_displacements(displacements, lattice):
    """The same for displacements `[..., D]` and a `lattice` `[..., 2 D D]` with sizes that can be broadcast."""
    return ops.moveaxis(nearest_image(ops.moveaxis(displacements, -1, 0), ops.moveaxis(lattice, -1, 0)), 0, -1)
